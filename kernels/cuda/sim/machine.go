package sim

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"forja/kernels/cuda/sim/interp"
)

// Options describe the machine.
type Options struct {
	Capability int    // of its card: 80 (A100) or 90 (H100); 0 is 90
	Memory     int    // bytes of the card; 0 is 1 GiB
	Driver     int    // CUDA version of its driver: 11080 (11.8) or 12000 to 12040 (12.4); 0 is 12.4
	Check      bool   // check every access of kernels
	Count      bool   // count what kernels do: see Stats
	Seed       uint64 // of the order in which warps run; 0 is their own
	Workers    int    // blocks run at once; 0 is the number of processors
}

// A Machine is a computer with one card.
type Machine struct {
	slot *slot
	card card
	o    Options

	mu          sync.Mutex
	initialized bool
	retained    int          // of the primary context
	current     map[int]bool // by thread: the context is current
	heap        *interp.Heap
	host        []hostBlock // by address
	handles     map[uintptr]any
	serial      uintptr
	failed      result // sticky
	code        result // that detail is about
	detail      string
	strings     [16][]byte // given out last
	given       int
	leaks       []string
	stats       map[string]*KernelStats
}

// KernelStats is what the launches of a kernel did.
type KernelStats struct {
	Kernel   string
	Launches int
	Blocks   int
	Seconds  float64      // of simulation
	Counters interp.Stats // with Options.Count
}

// New makes a machine. It occupies one of sixteen places in the process until it is closed.
func New(o Options) (*Machine, error) {
	if !supported {
		return nil, errors.New("this program was built without CUDA (tag nocuda, or a platform without it), simulated or not")
	}
	if o.Capability == 0 {
		o.Capability = 90
	}
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	if o.Driver == 0 {
		o.Driver = 12040
	}
	c, ok := cards[o.Capability]
	if !ok || o.Memory < 0 {
		return nil, fmt.Errorf("simulate a card of capability %d with %d bytes: want 80 or 90", o.Capability, o.Memory)
	}
	if o.Driver != 11080 && (o.Driver < 12000 || o.Driver > 12040) {
		return nil, fmt.Errorf("simulate a driver of CUDA version %d: want 11080, or 12000 to 12040", o.Driver)
	}
	m := &Machine{card: c, o: o, current: map[int]bool{}, handles: map[uintptr]any{}, stats: map[string]*KernelStats{}}
	var err error
	m.slot, err = place(m)
	return m, err
}

// Resolve gives the C address of a function of the driver.
func (m *Machine) Resolve(name string) (uintptr, error) {
	if m.o.Driver < 12000 && name == "cuTensorMapEncodeTiled" {
		return 0, errors.New("the simulated driver is too old for " + name)
	}
	return m.slot.resolve(name)
}

// Close ends the machine. Calls to it are error 4 from then on. Its error lists what was not freed.
func (m *Machine) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.slot.machine.Load() != m {
		return errors.New("close a simulated machine: it is closed already")
	}
	if m.retained > 0 {
		m.leaks = append(m.leaks, fmt.Sprintf("the primary context is retained %d times", m.retained))
		m.leaks = append(m.leaks, m.alive()...)
	}
	m.slot.machine.Store(nil)
	if len(m.leaks) > 0 {
		return fmt.Errorf("close a simulated machine: not freed: %s", strings.Join(m.leaks, "; "))
	}
	return nil
}

// Stats are the kernels that have run, sorted by name.
func (m *Machine) Stats() []*KernelStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []*KernelStats
	for _, s := range m.stats {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *KernelStats) int { return strings.Compare(a.Kernel, b.Kernel) })
	return list
}

// alive lists what has not been freed.
func (m *Machine) alive() []string {
	var list []string
	for _, h := range m.host {
		list = append(list, fmt.Sprintf("%d bytes of page-locked memory at %#x", len(h.bytes), h.at))
	}
	for h, v := range m.handles {
		list = append(list, fmt.Sprintf("%s %#x", kindOf(v), h))
	}
	if m.heap != nil {
		list = append(list, m.heap.Live()...)
	}
	slices.Sort(list)
	return list
}

// say explains a result, for cuGetErrorString.
func (m *Machine) say(r result, format string, args ...any) result {
	m.code, m.detail = r, fmt.Sprintf(format, args...)
	return r
}

// do runs the body of a call that needs no context.
func (s *slot) do(body func(*Machine) result) (r uintptr) {
	m := s.machine.Load()
	if m == nil {
		return uintptr(deinitialized)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		if p := recover(); p != nil { // it must not unwind the C frames of the caller
			m.failed = m.say(unknown, "the simulator is wrong: %v\n%s", p, debug.Stack())
			r = uintptr(unknown)
		}
	}()
	if !m.initialized {
		return uintptr(notInitialized)
	}
	return uintptr(body(m))
}

// inContext runs the body of a call that needs a context.
func (s *slot) inContext(body func(*Machine) result) uintptr {
	return s.do(func(m *Machine) result {
		if !m.current[threadID()] {
			return m.say(invalidContext, "none is current on thread %d", threadID())
		}
		if m.failed != success {
			return m.failed
		}
		return body(m)
	})
}

// add gives a thing a handle; get finds it; drop forgets it.
func (m *Machine) add(v any) uintptr {
	m.serial++
	h := 0x5100_0000_0000 + 16*m.serial
	m.handles[h] = v
	return h
}

func get[T any](m *Machine, handle uintptr) (*T, result) {
	v, ok := m.handles[handle].(*T)
	if !ok {
		want := kindOf((*T)(nil))
		if other, ok := m.handles[handle]; ok {
			return nil, m.say(invalidHandle, "%#x is %s, not %s", handle, kindOf(other), want)
		}
		return nil, m.say(invalidHandle, "%#x is not %s, or a destroyed one", handle, want)
	}
	return v, success
}

// kindOf says what has a handle.
func kindOf(v any) string {
	switch v.(type) {
	case *stream:
		return "a stream"
	case *event:
		return "an event"
	case *graph:
		return "a graph"
	case *graphExec:
		return "an executable graph"
	case *module:
		return "a module"
	}
	return "a function"
}

// cString gives text an address that stays valid for sixteen more calls.
func (m *Machine) cString(text string) *byte {
	b := append([]byte(text), 0)
	m.strings[m.given%len(m.strings)] = b
	m.given++
	return &b[0]
}

// inOrder are all things with handles, in the order in which they were made.
func (m *Machine) inOrder() []any {
	list := make([]any, 0, len(m.handles))
	for _, h := range slices.Sorted(maps.Keys(m.handles)) {
		list = append(list, m.handles[h])
	}
	return list
}
