package vec

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// page returns a float32 row of one page between two pages that cannot be touched.
func page(t *testing.T) []float32 {
	size := os.Getpagesize()
	m, err := syscall.Mmap(-1, 0, 3*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	require.NoError(t, syscall.Mprotect(m[:size], syscall.PROT_NONE))
	require.NoError(t, syscall.Mprotect(m[2*size:], syscall.PROT_NONE))
	return unsafe.Slice((*float32)(unsafe.Pointer(&m[size])), size/4)
}

// A read or write beyond a row would fault here, and end the test with the fault's address.
func TestRowsAtTheEdgeOfMemoryAreNotOverrun(t *testing.T) {
	pages := make([][]float32, 8)
	for i := range pages {
		pages[i] = page(t)
	}
	words := unsafe.Slice((*uint16)(unsafe.Pointer(&pages[7][0])), 2*len(pages[7]))
	eachTier(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(8, 1))
		for n := range 71 {
			for _, end := range []bool{true, false} {
				row := func(p []float32) []float32 {
					if end {
						return p[len(p)-n:]
					}
					return p[:n:n]
				}
				for _, p := range primitives() {
					in, out := sources(rng, p, n), make([][]float32, p.out)
					for j := range in {
						r := row(pages[j])
						copy(r, in[j])
						in[j] = r
					}
					for j := range out {
						out[j] = row(pages[p.in+j])
					}
					p.run(out, in)
				}
				x := row(pages[0])
				w := words[:n:n]
				if end {
					w = words[len(words)-n:]
				}
				Narrow(w, x)
				Widen(x, w)
				WidenF16(x, w)
				ExpSum(x, x, Max(x))
				ArgMax(x)
				MeanVar(x)
			}
		}
	})
}
