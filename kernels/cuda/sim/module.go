package sim

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"forja/kernels/cuda/sim/interp"
)

// module is loaded PTX.
type module struct {
	parsed    *interp.Module
	functions map[string]uintptr
}

// function is a kernel and what a program has set.
type function struct {
	kernel  *interp.Kernel
	dynamic int // bytes of dynamic shared memory that a launch may ask for
	size    int // bytes of the parameters
}

var (
	versionLine = regexp.MustCompile(`(?m)^\s*\.version\s+(\d+)\.(\d+)`)
	targetLine  = regexp.MustCompile(`(?m)^\s*\.target\s+sm_(\d+)(a?)`)
)

// compile parses PTX for the card; an error comes with what the driver's compiler would log.
func (m *Machine) compile(text string) (*interp.Module, result, string) {
	version, target := versionLine.FindStringSubmatch(text), targetLine.FindStringSubmatch(text)
	if version == nil || target == nil {
		return nil, invalidPTX, "ptxas fatal   : Missing .version or .target directive"
	}
	newest := 708 // CUDA 11.8 has PTX 7.8, and 12.x has 8.x
	if m.o.Driver >= 12000 {
		newest = 800 + m.o.Driver%1000/10
	}
	major, _ := strconv.Atoi(version[1])
	minor, _ := strconv.Atoi(version[2])
	if v := major*100 + minor; v > newest || major > newest {
		return nil, unsupportedPTX, fmt.Sprintf("ptxas fatal   : Unsupported .version %s.%s; current version is '%d.%d'",
			version[1], version[2], newest/100, newest%100)
	}
	sm, err := strconv.Atoi(target[1])
	if capability := m.o.Capability; err != nil || sm > capability || target[2] == "a" && sm != capability {
		return nil, invalidPTX, fmt.Sprintf("ptxas fatal   : SM version %s%s specified by .target is not that of the device, sm_%d",
			target[1], target[2], capability)
	}
	parsed, err := interp.Parse(text)
	if err != nil {
		return nil, invalidPTX, "ptxas error   : " + err.Error()
	}
	return parsed, success, ""
}

func (s *slot) moduleLoad(p *uintptr, image *byte, n uintptr, options *uint32, values *uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		text, ok := goString(image)
		if p == nil || !ok || uint32(n) > 64 || n > 0 && (options == nil || values == nil) {
			return invalidValue
		}
		parsed, r, log := m.compile(text)
		if r != success {
			const errorBuffer, errorSize = 5, 6
			var buffer *byte
			size := uintptr(0)
			for i, option := range unsafe.Slice(options, int(uint32(n))) {
				switch value := &unsafe.Slice(values, int(uint32(n)))[i]; option {
				case errorBuffer:
					buffer = pointer[byte](value)
				case errorSize:
					size = *value
				}
			}
			putString(buffer, size, log)
			return m.say(r, "%s", log)
		}
		*p = m.add(&module{parsed, map[string]uintptr{}})
		return success
	})
}

func (s *slot) moduleUnload(handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		mod, r := get[module](m, handle)
		if r != success {
			return r
		}
		for _, f := range mod.functions {
			delete(m.handles, f)
		}
		delete(m.handles, handle)
		m.heap.Unload(mod.parsed)
		return success
	})
}

func (s *slot) moduleGetFunction(p *uintptr, handle uintptr, name *byte) uintptr {
	return s.inContext(func(m *Machine) result {
		mod, r := get[module](m, handle)
		if r != success {
			return r
		}
		text, ok := goString(name)
		k := mod.parsed.Kernels[text]
		if p == nil || !ok || k == nil {
			return m.say(notFound, "no kernel %q in the module", text)
		}
		if mod.functions[text] == 0 {
			f := &function{kernel: k, dynamic: defaultShared - k.StaticShared}
			if n := len(k.Params); n > 0 {
				f.size = k.Params[n-1].Offset + k.Params[n-1].Size
			}
			mod.functions[text] = m.add(f)
		}
		*p = mod.functions[text]
		return success
	})
}

func (s *slot) functionGetAttribute(v *int32, which, handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		f, r := get[function](m, handle)
		if r != success {
			return r
		}
		most := f.kernel.Threads
		if most == 0 {
			most = blockThreads
		}
		values := map[int32]int{
			0: most, 1: f.kernel.StaticShared, 2: 0, 3: 0, 4: 0, 5: m.o.Capability, 6: m.o.Capability, 7: 0, 8: f.dynamic,
		}
		value, ok := values[int32(which)]
		if v == nil || !ok {
			return m.say(invalidValue, "function attribute %d is not simulated", int32(which))
		}
		*v = int32(value)
		return success
	})
}

func (s *slot) functionSetAttribute(handle, which, value uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		f, r := get[function](m, handle)
		if r != success {
			return r
		}
		const dynamicShared, carveout = 8, 9
		switch n := int(int32(value)); int32(which) {
		case dynamicShared:
			if n < 0 || n+f.kernel.StaticShared > m.card.shared {
				return m.say(invalidValue, "%d bytes of dynamic and %d of static shared memory: the card has %d for a block",
					n, f.kernel.StaticShared, m.card.shared)
			}
			f.dynamic = n
		case carveout:
		default:
			return m.say(invalidValue, "function attribute %d cannot be set", int32(which))
		}
		return success
	})
}

// maxActiveBlocks counts threads, shared memory and slots, not registers.
func (s *slot) maxActiveBlocks(n *int32, handle, threads, shared uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		f, r := get[function](m, handle)
		if r != success {
			return r
		}
		if n == nil || uint32(threads) == 0 || uint32(threads) > blockThreads || shared > 1<<20 {
			return invalidValue
		}
		warps := (int(uint32(threads)) + 31) / 32 * 32
		blocks := min(maxResident, m.card.threads/warps, m.card.sharedOfAll/(int(shared)+f.kernel.StaticShared+reservedShared))
		*n = int32(blocks)
		return success
	})
}

func (s *slot) launchKernel(handle, gx, gy, gz, bx, by, bz, shared, stream uintptr, params *unsafe.Pointer,
	extra *uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		f, r := get[function](m, handle)
		if r != success {
			return r
		}
		grid := [3]uint32{uint32(gx), uint32(gy), uint32(gz)}
		block := [3]uint32{uint32(bx), uint32(by), uint32(bz)}
		if r := m.checkLaunch(f, grid, block, int(uint32(shared))); r != success {
			return r
		}
		args, r := m.arguments(f, params, extra)
		if r != success {
			return r
		}
		return m.push(stream, func(m *Machine) result { return m.launch(f.kernel, grid, block, int(uint32(shared)), args) })
	})
}

// checkLaunch applies the card's limits.
func (m *Machine) checkLaunch(f *function, grid, block [3]uint32, shared int) result {
	k := f.kernel
	threads := uint64(block[0]) * uint64(block[1]) * uint64(block[2])
	most := uint64(blockThreads)
	if k.Threads > 0 {
		most = uint64(k.Threads)
	}
	switch {
	case grid[0] == 0 || grid[1] == 0 || grid[2] == 0 || grid[0] > 1<<31-1 || grid[1] > maxGridYZ || grid[2] > maxGridYZ:
		return m.say(invalidValue, "%s on a grid of %v blocks", k.Name, grid)
	case block[0] > 1024 || block[1] > 1024 || block[2] > 64 || threads == 0 || threads > most:
		return m.say(invalidValue, "%s in blocks of %v threads, which has at most %d", k.Name, block, most)
	case shared > f.dynamic:
		return m.say(invalidValue, "%s with %d bytes of dynamic shared memory, allowed are %d", k.Name, shared, f.dynamic)
	}
	if c := k.Cluster; c[0] != 0 {
		if !m.card.cluster || c[0]*c[1]*c[2] > 8 || grid[0]%c[0] != 0 || grid[1]%c[1] != 0 || grid[2]%c[2] != 0 {
			return m.say(invalidCluster, "%s on a grid of %v blocks in clusters of %v", k.Name, grid, c)
		}
	}
	return success
}

// arguments copies the parameters of a launch. In native code for sm_90 they begin 16 bytes after a multiple of 64: a block
// of parameters is not laid out like one in C if a tensor map is among them, and only their places will do.
func (m *Machine) arguments(f *function, params *unsafe.Pointer, extra *uintptr) ([]byte, result) {
	k := f.kernel
	switch {
	case params != nil && extra != nil:
		return nil, m.say(invalidValue, "%s with parameters given twice", k.Name)
	case params != nil:
		args := make([]byte, f.size)
		for i, p := range unsafe.Slice(params, len(k.Params)) {
			copy(args[k.Params[i].Offset:], unsafe.Slice((*byte)(p), k.Params[i].Size))
		}
		return args, success
	case extra != nil && slices.ContainsFunc(k.Params, func(p interp.Param) bool { return p.Align > 16 }):
		return nil, m.say(invalidValue, "%s with parameters in one block, though one of them is aligned to more than 16 bytes", k.Name)
	case extra != nil:
		const buffer, size = 1, 2
		list := unsafe.Slice(extra, 5)
		var from *byte
		n := -1
		for i := 0; i < 4 && list[i] != 0; i += 2 {
			switch list[i] {
			case buffer:
				from = pointer[byte](&list[i+1])
			case size:
				if p := pointer[uintptr](&list[i+1]); p != nil {
					n = int(*p)
				}
			}
		}
		if n != f.size || from == nil && n > 0 {
			return nil, m.say(invalidValue, "%s with %d bytes of parameters, it has %d", k.Name, n, f.size)
		}
		return append([]byte(nil), unsafe.Slice(from, n)...), success
	case f.size > 0:
		return nil, m.say(invalidValue, "%s without parameters, it has %d bytes", k.Name, f.size)
	}
	return nil, success
}

// launch runs a kernel.
func (m *Machine) launch(k *interp.Kernel, grid, block [3]uint32, shared int, args []byte) result {
	s := m.stats[k.Name]
	if s == nil {
		s = &KernelStats{Kernel: k.Name}
		m.stats[k.Name] = s
	}
	o := interp.Options{Check: m.o.Check, Seed: m.o.Seed, Workers: m.o.Workers}
	if m.o.Count {
		o.Stats = &s.Counters
	}
	start := time.Now()
	err := k.Launch(m.heap, grid, block, shared, args, o)
	s.Launches++
	s.Blocks += int(grid[0]) * int(grid[1]) * int(grid[2])
	s.Seconds += time.Since(start).Seconds()
	if err != nil {
		return m.say(illegalAddress, "%v", err)
	}
	return success
}

func (s *slot) encodeTensorMap(p *[128]byte, kind, rank, address uintptr, dim, stride *uint64, box, step *uint32,
	interleave, swizzle, promotion, fill uintptr) uintptr {
	return s.do(func(m *Machine) result {
		if !m.card.tensors {
			return m.say(notSupported, "the card has no tensor maps")
		}
		n := int(uint32(rank))
		if p == nil || uintptr(unsafe.Pointer(p))%64 != 0 || n < 1 || n > 5 || dim == nil || n > 1 && stride == nil || box == nil ||
			step == nil {
			return m.say(invalidValue, "a tensor map of rank %d at %p", n, p)
		}
		t := interp.TensorMap{
			Type: interp.TensorType(kind), Rank: uint32(rank), Address: uint64(address), Interleave: uint32(interleave),
			Swizzle: uint32(swizzle), L2Promotion: uint32(promotion), OOBFill: uint32(fill),
		}
		copy(t.Dim[:], unsafe.Slice(dim, n))
		copy(t.Stride[:], unsafe.Slice(stride, n-1))
		copy(t.Box[:], unsafe.Slice(box, n))
		copy(t.ElementStride[:], unsafe.Slice(step, n))
		encoded, err := t.Encode()
		if err != nil {
			return m.say(invalidValue, "%v", err)
		}
		*p = encoded
		return success
	})
}
