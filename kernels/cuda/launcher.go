package cuda

import (
	"encoding/binary"
	"fmt"
	"math"

	"forja/kernels/cuda/driver"
)

const tensorMapAlign = 64

func aligned(n, to int) int { return (n + to - 1) &^ (to - 1) }

// dim3 is a number of blocks in each direction.
type dim3 struct{ x, y, z uint32 }

// ptr is an address of device memory.
type ptr uint64

// A launcher queues kernels on a stream. The generated methods pack a kernel's parameters and launch it. The first error
// sticks until it is taken: later launches do nothing.
type launcher struct {
	ctx    *driver.Context
	stream *driver.Stream
	block  *driver.Launch
	buf    []byte // the parameters of the next launch
	n      int    // bytes of them
	places []int  // where each lies in buf
	err    error

	table  []kernelInfo
	source func(module, entry string) (string, error) // PTX of one kernel
	loaded []loaded                                   // by kernelID
	timing *timing                                    // nil if off
}

// loaded is a kernel on the device.
type loaded struct {
	module  *driver.Module // nil before its first launch
	f       driver.Function
	dynamic int // dynamic shared memory that launches may ask for
}

// fail keeps the first error.
func (l *launcher) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// begin starts the parameters of a launch. Each of the next methods adds one.
func (l *launcher) begin() { l.n, l.places = 0, l.places[:0] }

// place makes room for a parameter, aligned as in C.
func (l *launcher) place(size, align int) []byte {
	at := aligned(l.n, align)
	l.n = at + size
	l.places = append(l.places, at)
	return l.buf[at:l.n]
}

func (l *launcher) i32(v int32)   { l.u32(uint32(v)) }
func (l *launcher) f32(v float32) { l.u32(math.Float32bits(v)) }
func (l *launcher) i64(v int64)   { l.u64(uint64(v)) }
func (l *launcher) ptr(p ptr)     { l.u64(uint64(p)) }

func (l *launcher) u32(v uint32) { binary.NativeEndian.PutUint32(l.place(4, 4), v) }
func (l *launcher) u64(v uint64) { binary.NativeEndian.PutUint64(l.place(8, 8), v) }

func (l *launcher) tensorMap(m *driver.TensorMap) {
	to := l.place(len(m)*8, tensorMapAlign)
	for i, v := range m {
		binary.NativeEndian.PutUint64(to[i*8:], v)
	}
}

// launch queues a kernel with the packed parameters and bytes of dynamic shared memory. An empty grid does nothing.
func (l *launcher) launch(k kernelID, g dim3, shared int) {
	if l.err != nil || g.x == 0 || g.y == 0 || g.z == 0 {
		return
	}
	f := &l.loaded[k]
	if f.module == nil {
		if err := l.load(k); err != nil {
			l.fail(err)
			return
		}
	}
	info := &l.table[k]
	if l.n != info.size {
		l.fail(fmt.Errorf("launch %s: %d bytes of parameters, its PTX has %d", info.entry, l.n, info.size))
		return
	}
	if shared > f.dynamic {
		if err := f.f.SetDynamicShared(shared); err != nil {
			l.fail(fmt.Errorf("launch %s with %d bytes of dynamic shared memory: %w", info.entry, shared, err))
			return
		}
		f.dynamic = shared
	}
	if l.timing != nil {
		l.timing.before(l, k)
	}
	if err := l.block.Do(f.f, g.x, g.y, g.z, info.threads, shared, l.places); err != nil {
		if driver.Lost(err) != driver.Success {
			err = fmt.Errorf("this or an earlier kernel failed (CUDA_LAUNCH_BLOCKING=1 makes it this one): %w", err)
		}
		l.fail(fmt.Errorf("launch %s on %d×%d×%d blocks: %w", info.entry, g.x, g.y, g.z, err))
		return
	}
	if l.timing != nil {
		l.timing.after(l)
	}
}

// load compiles a kernel.
func (l *launcher) load(k kernelID) error {
	info := &l.table[k]
	text, err := l.source(info.module, info.entry)
	if err != nil {
		return fmt.Errorf("load kernel %s: %w", info.entry, err)
	}
	m, err := l.ctx.Load(text)
	if err != nil {
		return fmt.Errorf("load kernel %s for %s: %w", info.entry, info.target, err)
	}
	f, err := m.Function(info.entry)
	if err != nil {
		return fmt.Errorf("load kernel %s: %w", info.entry, err)
	}
	static, err := f.Attribute(driver.FunctionStaticShared)
	if err != nil {
		return fmt.Errorf("load kernel %s: %w", info.entry, err)
	}
	const sharedByDefault = 48 << 10
	l.loaded[k] = loaded{m, f, sharedByDefault - static}
	return nil
}
