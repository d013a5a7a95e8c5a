package driver

import (
	"errors"
	"fmt"
	"unsafe"
)

// Resolve gives the C address of a function of the driver.
type Resolve func(name string) (uintptr, error)

// function numbers the functions of the driver that are used.
type function uint8

const (
	fnInit function = iota
	fnDriverGetVersion
	fnGetErrorName
	fnGetErrorString
	fnDeviceGetCount
	fnDeviceGet
	fnDeviceGetName
	fnDeviceGetUuid
	fnDeviceGetPCIBusID
	fnDeviceTotalMem
	fnDeviceGetAttribute
	fnPrimaryCtxRetain
	fnPrimaryCtxRelease
	fnCtxSetCurrent
	fnCtxSynchronize
	fnMemGetInfo
	fnMemAlloc
	fnMemFree
	fnMemHostAlloc
	fnMemFreeHost
	fnMemcpyHtoDAsync
	fnMemcpyDtoHAsync
	fnMemcpyDtoDAsync
	fnMemcpy2DAsync
	fnMemsetD8Async
	fnStreamCreate
	fnStreamDestroy
	fnStreamSynchronize
	fnStreamWaitEvent
	fnStreamBeginCapture
	fnStreamEndCapture
	fnEventCreate
	fnEventDestroy
	fnEventRecord
	fnEventQuery
	fnEventSynchronize
	fnEventElapsedTime
	fnModuleLoadDataEx
	fnModuleUnload
	fnModuleGetFunction
	fnFuncGetAttribute
	fnFuncSetAttribute
	fnMaxActiveBlocks
	fnLaunchKernel
	fnGraphInstantiate
	fnGraphGetNodes
	fnGraphLaunch
	fnGraphExecDestroy
	fnGraphDestroy
	fnTensorMapEncodeTiled
	functions
)

// names are the symbols. Where a later version of a function exists, its name is the current ABI and the plain one is
// kept for old programs only.
var names = [functions]string{
	fnInit:                 "cuInit",
	fnDriverGetVersion:     "cuDriverGetVersion",
	fnGetErrorName:         "cuGetErrorName",
	fnGetErrorString:       "cuGetErrorString",
	fnDeviceGetCount:       "cuDeviceGetCount",
	fnDeviceGet:            "cuDeviceGet",
	fnDeviceGetName:        "cuDeviceGetName",
	fnDeviceGetUuid:        "cuDeviceGetUuid_v2",
	fnDeviceGetPCIBusID:    "cuDeviceGetPCIBusId",
	fnDeviceTotalMem:       "cuDeviceTotalMem_v2",
	fnDeviceGetAttribute:   "cuDeviceGetAttribute",
	fnPrimaryCtxRetain:     "cuDevicePrimaryCtxRetain",
	fnPrimaryCtxRelease:    "cuDevicePrimaryCtxRelease_v2",
	fnCtxSetCurrent:        "cuCtxSetCurrent",
	fnCtxSynchronize:       "cuCtxSynchronize",
	fnMemGetInfo:           "cuMemGetInfo_v2",
	fnMemAlloc:             "cuMemAlloc_v2",
	fnMemFree:              "cuMemFree_v2",
	fnMemHostAlloc:         "cuMemHostAlloc",
	fnMemFreeHost:          "cuMemFreeHost",
	fnMemcpyHtoDAsync:      "cuMemcpyHtoDAsync_v2",
	fnMemcpyDtoHAsync:      "cuMemcpyDtoHAsync_v2",
	fnMemcpyDtoDAsync:      "cuMemcpyDtoDAsync_v2",
	fnMemcpy2DAsync:        "cuMemcpy2DAsync_v2",
	fnMemsetD8Async:        "cuMemsetD8Async",
	fnStreamCreate:         "cuStreamCreate",
	fnStreamDestroy:        "cuStreamDestroy_v2",
	fnStreamSynchronize:    "cuStreamSynchronize",
	fnStreamWaitEvent:      "cuStreamWaitEvent",
	fnStreamBeginCapture:   "cuStreamBeginCapture_v2",
	fnStreamEndCapture:     "cuStreamEndCapture",
	fnEventCreate:          "cuEventCreate",
	fnEventDestroy:         "cuEventDestroy_v2",
	fnEventRecord:          "cuEventRecord",
	fnEventQuery:           "cuEventQuery",
	fnEventSynchronize:     "cuEventSynchronize",
	fnEventElapsedTime:     "cuEventElapsedTime",
	fnModuleLoadDataEx:     "cuModuleLoadDataEx",
	fnModuleUnload:         "cuModuleUnload",
	fnModuleGetFunction:    "cuModuleGetFunction",
	fnFuncGetAttribute:     "cuFuncGetAttribute",
	fnFuncSetAttribute:     "cuFuncSetAttribute",
	fnMaxActiveBlocks:      "cuOccupancyMaxActiveBlocksPerMultiprocessor",
	fnLaunchKernel:         "cuLaunchKernel",
	fnGraphInstantiate:     "cuGraphInstantiateWithFlags",
	fnGraphGetNodes:        "cuGraphGetNodes",
	fnGraphLaunch:          "cuGraphLaunch",
	fnGraphExecDestroy:     "cuGraphExecDestroy",
	fnGraphDestroy:         "cuGraphDestroy",
	fnTensorMapEncodeTiled: "cuTensorMapEncodeTiled",
}

// since12 are functions that drivers before CUDA 12 lack. Without them only kernels for sm_80 run.
var since12 = map[function]bool{fnTensorMapEncodeTiled: true}

// An API is a driver whose functions are bound.
type API struct {
	fn      [functions]uintptr
	version int
}

// Bind looks up every function and initialises the driver.
func Bind(resolve Resolve) (*API, error) {
	if !Supported {
		return nil, errUnsupported
	}
	a := new(API)
	var missing []error
	for f, name := range names {
		addr, err := resolve(name)
		if err != nil && !since12[function(f)] {
			missing = append(missing, err)
		}
		a.fn[f] = addr
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the CUDA driver lacks %d of %d functions: install one for CUDA 11.8 or later: %w",
			len(missing), int(functions), errors.Join(missing...))
	}
	if err := KeepSignals(func() error { return a.call(fnInit, 0) }); err != nil {
		return nil, fmt.Errorf("start the CUDA driver: %w", err)
	}
	var v int32
	if err := a.call(fnDriverGetVersion, uintptr(unsafe.Pointer(&v))); err != nil {
		return nil, err
	}
	a.version = int(v)
	return a, nil
}

// Version is the CUDA version that the driver implements: 12040 is 12.4.
func (a *API) Version() int { return a.version }

// Devices is the number of devices that the driver shows this process.
func (a *API) Devices() (int, error) {
	var n int32
	err := a.call(fnDeviceGetCount, uintptr(unsafe.Pointer(&n)))
	return int(n), err
}

// call calls a function. It allocates: calls of every step use blocks of arguments instead.
//
//go:uintptrescapes
func (a *API) call(f function, args ...uintptr) error {
	return a.check(f, invoke(a.fn[f], args...))
}

// check turns a result into an error.
func (a *API) check(f function, result uintptr) error {
	if r := Result(int32(result)); r != Success {
		return a.describe(f, r)
	}
	return nil
}

// describe asks the driver for a result's name and meaning.
func (a *API) describe(f function, r Result) *Error {
	return &Error{Call: names[f], Code: r, Name: a.text(fnGetErrorName, r), Text: a.text(fnGetErrorString, r)}
}

// text is a string that the driver has for a result, "" if none.
func (a *API) text(f function, r Result) string {
	var s *byte
	if invoke(a.fn[f], uintptr(r), uintptr(unsafe.Pointer(&s))) != 0 {
		return ""
	}
	return cString(s)
}

// cString copies a zero-terminated string of at most 4096 bytes.
func cString(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for n < 4096 && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
