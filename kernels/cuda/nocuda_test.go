//go:build nocuda || !((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package cuda

import (
	"fmt"
	"os"
	"testing"
)

// TestMain runs nothing: every test needs a device, simulated or not.
func TestMain(*testing.M) {
	if _, err := Open(Options{Simulate: true}); err == nil {
		fmt.Println("a program built without CUDA has opened a device")
		os.Exit(1)
	}
	fmt.Println("skipped: built without CUDA")
	os.Exit(0)
}
