//go:build linux && (amd64 || arm64) && !noopenblas && !nocuda

package bench

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"forja/kernels/cpu/tier"
)

// openBLAS is an OpenBLAS that was loaded into this process.
type openBLAS struct {
	Peer
	lib   uintptr
	sgemm func(order, transA, transB, m, n, k int, alpha float32, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int,
		beta float32, c unsafe.Pointer, ldc int)
}

// openPeer loads OpenBLAS and sets its threads. Where it does not know the processor and chose kernels for an old one, it
// is loaded again and told to use the best that fit.
func openPeer(threads int) (*openBLAS, error) {
	// Some images preset these, which makes OpenBLAS choose slower kernels. It reads them when it is loaded, from C's
	// environment, which os.Setenv and os.Unsetenv change too.
	for _, name := range []string{"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	paths := []string{"libopenblas.so.0", "libopenblas.so"}
	if path := os.Getenv(PeerVariable); path != "" {
		paths = []string{path}
	}
	var failures []error
	for _, path := range paths {
		p, err := loadPeer(path, threads)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		best := bestCore(p.Core)
		if best == "" {
			return p, nil
		}
		chosen := p.Core
		if err := errors.Join(purego.Dlclose(p.lib), os.Setenv("OPENBLAS_CORETYPE", best)); err != nil {
			return nil, err
		}
		if p, err = loadPeer(path, threads); err == nil {
			p.Chosen = chosen
		}
		return p, err
	}
	return nil, errors.Join(failures...)
}

// bestCore is the processor whose kernels OpenBLAS should use here instead of those for core, empty if they are as good
// as any. Its matrix kernels for newer processors with AVX-512 than SkylakeX, and for Zen, are those named here.
func bestCore(core string) string {
	is := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, core) })
	}
	switch hardware := tier.Hardware(); {
	case hardware >= tier.AVX512 && !is("SkylakeX", "Cooperlake", "SapphireRapids"):
		return "SkylakeX"
	case hardware == tier.AVX2 && !is("Haswell", "Zen"):
		return "Haswell"
	}
	return ""
}

func loadPeer(path string, threads int) (*openBLAS, error) {
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	p, err := bindPeer(lib, threads)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p.lib, p.Name, p.Path = lib, "openblas", path
	return p, nil
}

// bindPeer finds the functions. Builds differ in the decoration of their names: that of numpy has a prefix, and a suffix
// where its integers have 64 bits. Arguments are passed as 64 bits either way, which is the same in both calling
// conventions.
func bindPeer(lib uintptr, threads int) (*openBLAS, error) {
	for _, decoration := range [][2]string{{"", ""}, {"", "64_"}, {"scipy_", ""}, {"scipy_", "64_"}} {
		find := func(name string) uintptr {
			f, err := purego.Dlsym(lib, decoration[0]+name+decoration[1])
			if err != nil {
				return 0
			}
			return f
		}
		sgemm, set, get := find("cblas_sgemm"), find("openblas_set_num_threads"), find("openblas_get_num_threads")
		core, config := find("openblas_get_corename"), find("openblas_get_config")
		if sgemm == 0 || set == 0 || get == 0 || core == 0 || config == 0 {
			continue
		}
		p := &openBLAS{}
		var setThreads func(int)
		var getThreads func() int32
		var coreName, configuration func() string
		purego.RegisterFunc(&p.sgemm, sgemm)
		purego.RegisterFunc(&setThreads, set)
		purego.RegisterFunc(&getThreads, get)
		purego.RegisterFunc(&coreName, core)
		purego.RegisterFunc(&configuration, config)
		setThreads(threads)
		p.Threads, p.Core, p.Config = int(getThreads()), coreName(), strings.TrimSpace(configuration())
		return p, nil
	}
	return nil, errors.New("it has no cblas_sgemm and openblas_* functions under any name this program knows")
}

// multiply computes c = op(a)·op(b) for row-major matrices of m, n and k, transposed as stored where told.
func (p *openBLAS) multiply(transA, transB bool, m, n, k int, a, b, c []float32) {
	const rowMajor, plain, transposed = 101, 111, 112
	ta, lda := plain, k
	if transA {
		ta, lda = transposed, m
	}
	tb, ldb := plain, n
	if transB {
		tb, ldb = transposed, k
	}
	p.sgemm(rowMajor, ta, tb, m, n, k, 1, unsafe.Pointer(&a[0]), lda, unsafe.Pointer(&b[0]), ldb, 0, unsafe.Pointer(&c[0]), n)
}
