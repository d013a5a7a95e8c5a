package sim

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// A slot is a set of C addresses of the driver's functions, made as they are asked for and kept: callbacks cannot be given
// back. A machine occupies one at a time.
type slot struct {
	machine atomic.Pointer[Machine]
	mu      sync.Mutex
	addr    map[string]uintptr
}

var slots struct {
	sync.Mutex
	all [16]slot
}

// place finds a free slot.
func place(m *Machine) (*slot, error) {
	slots.Lock()
	defer slots.Unlock()
	for i := range slots.all {
		if s := &slots.all[i]; s.machine.CompareAndSwap(nil, m) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%d simulated machines are open, and there cannot be more in a process: close one", len(slots.all))
}

// resolve gives a function its address.
func (s *slot) resolve(name string) (uintptr, error) {
	f, ok := functions[name]
	if !ok {
		return 0, errors.New("the simulated driver has no function " + name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == nil {
		s.addr = map[string]uintptr{}
	}
	if s.addr[name] == 0 {
		s.addr[name] = callback(f(s))
	}
	return s.addr[name], nil
}

// functions are the driver's. Integers are declared as wide as registers, and results too: the same on every platform.
var functions = map[string]func(*slot) any{
	"cuInit":               func(s *slot) any { return s.init },
	"cuDriverGetVersion":   func(s *slot) any { return s.driverVersion },
	"cuGetErrorName":       func(s *slot) any { return s.getErrorName },
	"cuGetErrorString":     func(s *slot) any { return s.getErrorString },
	"cuDeviceGetCount":     func(s *slot) any { return s.deviceGetCount },
	"cuDeviceGet":          func(s *slot) any { return s.deviceGet },
	"cuDeviceGetName":      func(s *slot) any { return s.deviceGetName },
	"cuDeviceGetUuid_v2":   func(s *slot) any { return s.deviceGetUUID },
	"cuDeviceGetPCIBusId":  func(s *slot) any { return s.deviceGetPCIBusID },
	"cuDeviceTotalMem_v2":  func(s *slot) any { return s.deviceTotalMem },
	"cuDeviceGetAttribute": func(s *slot) any { return s.deviceGetAttribute },

	"cuDevicePrimaryCtxRetain":     func(s *slot) any { return s.contextRetain },
	"cuDevicePrimaryCtxRelease_v2": func(s *slot) any { return s.contextRelease },
	"cuCtxSetCurrent":              func(s *slot) any { return s.contextSetCurrent },
	"cuCtxSynchronize":             func(s *slot) any { return s.contextSynchronize },

	"cuMemGetInfo_v2":      func(s *slot) any { return s.memGetInfo },
	"cuMemAlloc_v2":        func(s *slot) any { return s.memAlloc },
	"cuMemFree_v2":         func(s *slot) any { return s.memFree },
	"cuMemHostAlloc":       func(s *slot) any { return s.memHostAlloc },
	"cuMemFreeHost":        func(s *slot) any { return s.memFreeHost },
	"cuMemcpyHtoDAsync_v2": func(s *slot) any { return s.copyToDevice },
	"cuMemcpyDtoHAsync_v2": func(s *slot) any { return s.copyToHost },
	"cuMemcpyDtoDAsync_v2": func(s *slot) any { return s.copyWithin },
	"cuMemcpy2DAsync_v2":   func(s *slot) any { return s.copyRows },
	"cuMemsetD8Async":      func(s *slot) any { return s.setBytes },

	"cuStreamCreate":      func(s *slot) any { return s.streamCreate },
	"cuStreamDestroy_v2":  func(s *slot) any { return s.streamDestroy },
	"cuStreamSynchronize": func(s *slot) any { return s.streamSynchronize },
	"cuStreamWaitEvent":   func(s *slot) any { return s.streamWaitEvent },
	"cuEventCreate":       func(s *slot) any { return s.eventCreate },
	"cuEventDestroy_v2":   func(s *slot) any { return s.eventDestroy },
	"cuEventRecord":       func(s *slot) any { return s.eventRecord },
	"cuEventQuery":        func(s *slot) any { return s.eventQuery },
	"cuEventSynchronize":  func(s *slot) any { return s.eventSynchronize },
	"cuEventElapsedTime":  func(s *slot) any { return s.eventElapsedTime },

	"cuStreamBeginCapture_v2":     func(s *slot) any { return s.beginCapture },
	"cuStreamEndCapture":          func(s *slot) any { return s.endCapture },
	"cuGraphInstantiateWithFlags": func(s *slot) any { return s.graphInstantiate },
	"cuGraphGetNodes":             func(s *slot) any { return s.graphGetNodes },
	"cuGraphLaunch":               func(s *slot) any { return s.graphLaunch },
	"cuGraphExecDestroy":          func(s *slot) any { return s.graphExecDestroy },
	"cuGraphDestroy":              func(s *slot) any { return s.graphDestroy },

	"cuModuleLoadDataEx":                          func(s *slot) any { return s.moduleLoad },
	"cuModuleUnload":                              func(s *slot) any { return s.moduleUnload },
	"cuModuleGetFunction":                         func(s *slot) any { return s.moduleGetFunction },
	"cuFuncGetAttribute":                          func(s *slot) any { return s.functionGetAttribute },
	"cuFuncSetAttribute":                          func(s *slot) any { return s.functionSetAttribute },
	"cuOccupancyMaxActiveBlocksPerMultiprocessor": func(s *slot) any { return s.maxActiveBlocks },
	"cuLaunchKernel":                              func(s *slot) any { return s.launchKernel },
	"cuTensorMapEncodeTiled":                      func(s *slot) any { return s.encodeTensorMap },
}
