package cuda

import (
	"fmt"
	"time"

	"forja/kernels/cuda/driver"
)

// KernelResources are what a kernel takes of a multiprocessor, as the driver's compiler made it. A simulated device knows
// of its shared memory only.
type KernelResources struct {
	Kernel       string
	Target       string  // of the PTX
	Binary       int     // architecture of the native code: 90
	Threads      int     // of a block
	Registers    int     // of a thread
	LocalBytes   int     // of a thread: arrays, and registers that did not fit
	StaticShared int     // bytes of a block, besides what a launch asks for
	Seconds      float64 // to compile it, or to find it in the driver's cache
}

// LoadAll compiles every kernel that the device can run, used or not, and returns their resources in order of the table.
func (b *Backend) LoadAll() ([]KernelResources, error) {
	var list []KernelResources
	for i := range b.table {
		info := &b.table[i]
		if info.target == "sm_90a" && !b.hopper {
			continue
		}
		start := time.Now()
		if b.loaded[i].module == nil {
			if err := b.load(kernelID(i)); err != nil {
				return list, err
			}
		}
		r := KernelResources{Kernel: info.entry, Target: info.target, Seconds: time.Since(start).Seconds()}
		for _, a := range []struct {
			to    *int
			which driver.FunctionAttribute
		}{
			{&r.Binary, driver.FunctionBinaryVersion}, {&r.Threads, driver.FunctionMaxThreads},
			{&r.Registers, driver.FunctionRegisters}, {&r.LocalBytes, driver.FunctionLocalBytes},
			{&r.StaticShared, driver.FunctionStaticShared},
		} {
			v, err := b.loaded[i].f.Attribute(a.which)
			if err != nil {
				return list, fmt.Errorf("kernel %s: %w", info.entry, err)
			}
			*a.to = v
		}
		list = append(list, r)
	}
	return list, nil
}
