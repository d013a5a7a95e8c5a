//go:build !nocuda && (amd64 || arm64)

package driver

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ebitengine/purego"
)

// paths are where drivers put their library: where the loader looks, distributions, WSL, NixOS.
var paths = []string{
	"libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib/aarch64-linux-gnu/libcuda.so.1",
	"/usr/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/run/opengl-driver/lib/libcuda.so.1",
}

// System opens the NVIDIA driver's library, from the path in FORJA_LIBCUDA if that is set. It stays open.
func System() (Resolve, error) {
	candidates := paths
	if p := os.Getenv("FORJA_LIBCUDA"); p != "" {
		candidates = []string{p}
	}
	return openLibrary(candidates)
}

func openLibrary(candidates []string) (Resolve, error) {
	var failed []string
	for _, path := range candidates {
		var handle uintptr
		err := KeepSignals(func() (err error) {
			handle, err = purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
			return err
		})
		if err == nil {
			return func(name string) (uintptr, error) {
				addr, err := purego.Dlsym(handle, name)
				if err != nil {
					return 0, fmt.Errorf("%s has no function %s", path, name)
				}
				return addr, nil
			}, nil
		}
		if strings.HasSuffix(err.Error(), "No such file or directory") {
			failed = append(failed, path)
			continue
		}
		failed = append(failed, err.Error())
	}
	return nil, errors.Join(ErrNoDriver, fmt.Errorf("tried %s", strings.Join(failed, ", ")))
}
