package driver

import (
	"errors"
	"runtime"
	"strings"
	"unsafe"
)

// A Module is compiled code on the device.
type Module struct {
	c      *Context
	handle uintptr
}

// Load compiles PTX for the device, or takes the result from the driver's cache on disk. An error holds the compiler's log.
func (c *Context) Load(ptx string) (*Module, error) {
	const (
		errorLogBuffer, errorLogSize = 5, 6
		logBytes                     = 8 << 10
	)
	image := append([]byte(ptx), 0)
	log := make([]byte, logBytes)
	// Both are read through pointers that the call's arguments do not show.
	var pins runtime.Pinner
	pins.Pin(&log[0])
	defer pins.Unpin()
	options := []uint32{errorLogBuffer, errorLogSize}
	values := []uintptr{uintptr(unsafe.Pointer(&log[0])), logBytes - 1}
	m := &Module{c: c}
	err := c.api.call(fnModuleLoadDataEx, uintptr(unsafe.Pointer(&m.handle)), uintptr(unsafe.Pointer(&image[0])),
		uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values[0])))
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Log = strings.TrimSpace(cString(&log[0]))
		}
		return nil, err
	}
	c.born(aModule, m.handle, 0)
	return m, nil
}

// Close unloads the module.
func (m *Module) Close() error {
	if err := m.c.dies(aModule, m.handle); err != nil {
		return err
	}
	return m.c.api.call(fnModuleUnload, m.handle)
}

// A Function is a kernel of a module.
type Function struct {
	c      *Context
	handle uintptr
}

// Function finds a kernel.
func (m *Module) Function(name string) (Function, error) {
	f := Function{c: m.c}
	b := append([]byte(name), 0)
	var handle uintptr
	err := m.c.api.call(fnModuleGetFunction, uintptr(unsafe.Pointer(&handle)), m.handle, uintptr(unsafe.Pointer(&b[0])))
	f.handle = handle
	return f, err
}

// A FunctionAttribute is a property of a kernel, numbered as in cuda.h.
type FunctionAttribute int32

const (
	FunctionMaxThreads    FunctionAttribute = 0
	FunctionStaticShared  FunctionAttribute = 1
	FunctionLocalBytes    FunctionAttribute = 3 // per thread: spilled registers and arrays
	FunctionRegisters     FunctionAttribute = 4
	FunctionBinaryVersion FunctionAttribute = 6 // of the native code: 90 is sm_90
	FunctionDynamicShared FunctionAttribute = 8 // most that a launch may ask for; can be set
)

// Attribute is a property of the kernel.
func (f Function) Attribute(which FunctionAttribute) (int, error) {
	var v int32
	err := f.c.api.call(fnFuncGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(which), f.handle)
	return int(v), err
}

// SetDynamicShared allows launches with up to so many bytes of dynamic shared memory.
func (f Function) SetDynamicShared(bytes int) error {
	return f.c.api.call(fnFuncSetAttribute, f.handle, uintptr(FunctionDynamicShared), uintptr(bytes))
}

// BlocksPerProcessor is how many blocks of the kernel fit a multiprocessor at once.
func (f Function) BlocksPerProcessor(threads, shared int) (int, error) {
	var n int32
	err := f.c.api.call(fnMaxActiveBlocks, uintptr(unsafe.Pointer(&n)), f.handle, uintptr(threads), uintptr(shared))
	return int(n), err
}
