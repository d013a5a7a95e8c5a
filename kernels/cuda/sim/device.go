package sim

import (
	"fmt"

	"forja/kernels/cuda/sim/interp"
)

// A card is what does not change about a device.
type card struct {
	name             string
	major, minor     int
	processors       int // multiprocessors
	shared           int // bytes of shared memory that a block may ask for
	clock            int // kHz
	memoryClock      int // kHz
	bus              int // bits
	l2               int
	threads          int // resident on a multiprocessor
	sharedOfAll      int // bytes of shared memory of a multiprocessor
	cluster, tensors bool
}

// cards by compute capability, with the figures of their data sheets.
var cards = map[int]card{
	80: {
		name: "NVIDIA A100-SXM4-80GB (simulated)", major: 8, processors: 108, shared: 163 << 10, clock: 1410000,
		memoryClock: 1593000, bus: 5120, l2: 40 << 20, threads: 2048, sharedOfAll: 164 << 10,
	},
	90: {
		name: "NVIDIA H100 80GB HBM3 (simulated)", major: 9, processors: 132, shared: 227 << 10, clock: 1980000,
		memoryClock: 2619000, bus: 5120, l2: 50 << 20, threads: 2048, sharedOfAll: 228 << 10, cluster: true, tensors: true,
	},
}

const (
	primary         = 0x5100_0000_0001 // the primary context's handle
	defaultShared   = 48 << 10         // bytes of shared memory of a block that does not ask for more
	reservedShared  = 1 << 10          // bytes of shared memory that the system takes from each block
	maxResident     = 32               // blocks on a multiprocessor
	blockThreads    = 1024
	maxGridYZ       = 65535
	registersPerAll = 65536
)

func (s *slot) init(flags uintptr) uintptr {
	m := s.machine.Load()
	if m == nil {
		return uintptr(deinitialized)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if flags != 0 {
		return uintptr(invalidValue)
	}
	m.initialized = true
	return 0
}

func (s *slot) driverVersion(v *int32) uintptr {
	m := s.machine.Load()
	if m == nil {
		return uintptr(deinitialized)
	}
	if v == nil {
		return uintptr(invalidValue)
	}
	*v = int32(m.o.Driver)
	return 0
}

func (s *slot) deviceGetCount(n *int32) uintptr {
	return s.do(func(m *Machine) result {
		if n == nil {
			return invalidValue
		}
		*n = 1
		return success
	})
}

func (s *slot) deviceGet(device *int32, ordinal uintptr) uintptr {
	return s.do(func(m *Machine) result {
		if device == nil {
			return invalidValue
		}
		if int32(ordinal) != 0 {
			return m.say(invalidDevice, "device %d of 1", int32(ordinal))
		}
		*device = 0
		return success
	})
}

// ofDevice runs the body of a call about device 0.
func (s *slot) ofDevice(device uintptr, body func(*Machine) result) uintptr {
	return s.do(func(m *Machine) result {
		if int32(device) != 0 {
			return m.say(invalidDevice, "device %d of 1", int32(device))
		}
		return body(m)
	})
}

func (s *slot) deviceGetName(name *byte, size, device uintptr) uintptr {
	return s.ofDevice(device, func(m *Machine) result { return putString(name, size, m.card.name) })
}

func (s *slot) deviceGetPCIBusID(id *byte, size, device uintptr) uintptr {
	return s.ofDevice(device, func(m *Machine) result { return putString(id, size, "0000:51:00.0") })
}

func (s *slot) deviceGetUUID(id *[16]byte, device uintptr) uintptr {
	return s.ofDevice(device, func(m *Machine) result {
		if id == nil {
			return invalidValue
		}
		copy(id[:], fmt.Sprintf("simulated sm_%d%d_", m.card.major, m.card.minor))
		return success
	})
}

func (s *slot) deviceTotalMem(n *uintptr, device uintptr) uintptr {
	return s.ofDevice(device, func(m *Machine) result {
		if n == nil {
			return invalidValue
		}
		*n = uintptr(m.o.Memory)
		return success
	})
}

func (s *slot) deviceGetAttribute(v *int32, which, device uintptr) uintptr {
	return s.ofDevice(device, func(m *Machine) result {
		c := &m.card
		number := func(b bool) int {
			if b {
				return 1
			}
			return 0
		}
		values := map[int32]int{
			1: blockThreads, 2: 1024, 3: 1024, 4: 64, 5: 1<<31 - 1, 6: maxGridYZ, 7: maxGridYZ, 8: defaultShared, 9: 64 << 10,
			10: 32, 11: 1<<31 - 1, 12: registersPerAll, 13: c.clock, 16: c.processors, 32: 1, 33: 0x51, 34: 0,
			36: c.memoryClock, 37: c.bus, 38: c.l2, 39: c.threads, 50: 0, 75: c.major, 76: c.minor, 81: c.sharedOfAll,
			82: registersPerAll, 97: c.shared, 106: maxResident, 111: reservedShared, 120: number(c.cluster), 127: number(c.tensors),
		}
		value, ok := values[int32(which)]
		if v == nil || !ok {
			return m.say(invalidValue, "attribute %d is not simulated", int32(which))
		}
		*v = int32(value)
		return success
	})
}

func (s *slot) contextRetain(context *uintptr, device uintptr) uintptr {
	return s.ofDevice(device, func(m *Machine) result {
		if context == nil {
			return invalidValue
		}
		if m.retained == 0 {
			m.heap = interp.NewHeap(m.o.Memory)
			m.failed = success
		}
		m.retained++
		*context = primary
		return success
	})
}

// contextRelease destroys everything with the last user, as the driver does; what was not freed is remembered.
func (s *slot) contextRelease(device uintptr) uintptr {
	return s.ofDevice(device, func(m *Machine) result {
		if m.retained == 0 {
			return m.say(invalidContext, "it is not retained")
		}
		if m.retained--; m.retained == 0 {
			if m.failed == success { // nothing can be freed after a failure
				m.leaks = append(m.leaks, m.alive()...)
			}
			clear(m.handles)
			clear(m.current)
			m.host, m.heap = nil, nil
		}
		return success
	})
}

func (s *slot) contextSetCurrent(context uintptr) uintptr {
	return s.do(func(m *Machine) result {
		switch {
		case context == 0:
			delete(m.current, threadID())
		case context == primary && m.retained > 0:
			m.current[threadID()] = true
		default:
			return m.say(invalidContext, "%#x is none, or was released", context)
		}
		return success
	})
}

func (s *slot) contextSynchronize() uintptr {
	return s.inContext(func(m *Machine) result { return m.runAll() })
}
