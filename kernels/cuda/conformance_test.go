package cuda_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cuda"
	"forja/kernels/cuda/driver"
	"forja/kernels/kerneltest"
)

// open opens a device for the calling test.
func open(o cuda.Options) func() (kernels.Backend, error) {
	return func() (kernels.Backend, error) { return cuda.Open(o) }
}

// conforms holds a device to the small cases of the suite; if FORJA_LONG=1 to all but the long ones.
func conforms(t *testing.T, o cuda.Options) {
	if os.Getenv("FORJA_LONG") == "1" {
		kerneltest.RunNormal(t, open(o))
	} else {
		kerneltest.RunSmall(t, open(o))
	}
}

// Every operation runs on a simulated A100 with the kernels for sm_80, every access checked.
func TestSimulated80(t *testing.T) {
	conforms(t, cuda.Options{Simulate: true, Capability: 80, Check: true})
}

// Every operation runs on a simulated H100 with the kernels for sm_90a, every access checked.
func TestSimulated90(t *testing.T) {
	conforms(t, cuda.Options{Simulate: true, Capability: 90, Check: true})
}

// Where there is a card, it passes the whole suite with each set of kernels that it takes. FORJA_CUDA=1 demands a card; FORJA_SMALL=1 leaves all but the
// small cases out.
func TestCard(t *testing.T) {
	for _, target := range []string{"sm_80", "sm_90a"} {
		t.Run(target, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			o := cuda.Options{Target: target}
			b, err := cuda.Open(o)
			if err != nil {
				absent := errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.NoDevice) || errors.Is(err, driver.StubLibrary)
				if os.Getenv("FORJA_CUDA") == "1" && (absent || target == "sm_80") {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			list, err := b.LoadAll()
			require.NoError(t, err)
			for _, k := range list {
				t.Logf("%-40s %3d registers %5d local %6d shared %.2f s", k.Kernel, k.Registers, k.LocalBytes, k.StaticShared, k.Seconds)
			}
			require.NoError(t, b.Close())
			if os.Getenv("FORJA_SMALL") == "1" {
				kerneltest.RunSmall(t, open(o))
				return
			}
			kerneltest.Run(t, open(o))
		})
	}
}

// Results are the same bytes whatever the order in which warps and blocks run. FORJA_LONG=1 asks for it: every case runs
// five times.
func TestResultsDoNotDependOnTheSchedule(t *testing.T) {
	if os.Getenv("FORJA_LONG") != "1" {
		t.Skip("FORJA_LONG is not 1")
	}
	for _, capability := range []int{80, 90} {
		t.Run(fmt.Sprint(capability), func(t *testing.T) {
			kerneltest.DeterministicSmall(t, func(threads int) (kernels.Backend, error) {
				return cuda.Open(cuda.Options{Simulate: true, Capability: capability, Workers: threads, Seed: uint64(threads - 1)})
			})
		})
	}
}
