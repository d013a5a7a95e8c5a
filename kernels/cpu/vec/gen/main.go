// gen writes the assembly of package vec and the Go functions that choose between its tiers.
//
// A kernel is described once, as arithmetic on vectors of float32 (kernels.go, math.go). A block records that arithmetic
// as a straight line of operations and assigns registers (block.go, registers.go); a function wraps blocks in the loops
// over the elements (function.go). The two instruction sets differ in few places: lanes, registers, masks for the tail,
// and powers of two. Run it with `go generate ./kernels/cpu/vec`; a test holds the output to the sources.
package main

import (
	"fmt"
	"log"
	"os"
)

func main() {
	files, err := generate()
	if err != nil {
		log.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			log.Fatal(fmt.Errorf("write generated file: %w", err))
		}
	}
}

// generate returns the generated files by name, to be written to the folder of package vec.
func generate() (map[string][]byte, error) {
	ks := kernels()
	amd64, portable, err := dispatch(ks)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"dispatch_amd64.go":    amd64,
		"dispatch_portable.go": portable,
		"avx512_amd64.s":       assembly(avx512, ks),
		"avx2_amd64.s":         assembly(avx2, ks),
	}, nil
}
