// gen compiles the CUDA sources in kernels/cuda/src to PTX and writes the Go functions that launch them.
//
//	go run ./kernels/cuda/gen            compile what changed, write kernels/cuda/ptx/*.ptx.gz and kernels/cuda/launches.go
//	go run ./kernels/cuda/gen sass       compare what NVIDIA's assembler makes of the PTX with kernels/cuda/ptx/sass.txt
//	go run ./kernels/cuda/gen sass -w    write that table
//
// It needs clang 20 or newer, $CLANG or clang-22, and no NVIDIA software; sass needs ptxas and nvdisasm, in $CUDA_TOOLS
// or the PATH. A source that does not compile keeps its old PTX and is reported; the others are done.
package main

import (
	"fmt"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	t, err := findTree()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 0:
		return t.build(os.Getenv("CLANG"), func(line string) { log.Print(line) })
	case args[0] == "sass" && (len(args) == 1 || len(args) == 2 && args[1] == "-w"):
		return t.sass(os.Getenv("CUDA_TOOLS"), len(args) == 2, func(line string) { log.Print(line) })
	}
	return fmt.Errorf("unknown arguments %q: want none, or sass, or sass -w", args)
}
