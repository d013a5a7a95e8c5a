package driver

import "errors"

// ErrNoDriver says that the NVIDIA driver is not installed, or not where it was looked for.
var ErrNoDriver = errors.New("no NVIDIA driver was found: install it, name its libcuda.so.1 in FORJA_LIBCUDA, or use --device cpu")
