package driver

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"
)

// An Attribute is a property of a device, numbered as in cuda.h.
type Attribute int32

const (
	MaxThreadsPerBlock        Attribute = 1
	MaxGridX                  Attribute = 5
	MaxSharedMemory           Attribute = 8 // of a block that does not ask for more
	WarpSize                  Attribute = 10
	MaxRegistersPerBlock      Attribute = 12
	ClockRate                 Attribute = 13 // kHz
	Multiprocessors           Attribute = 16
	ECCEnabled                Attribute = 32
	MemoryClockRate           Attribute = 36 // kHz
	MemoryBusWidth            Attribute = 37 // bits
	L2CacheSize               Attribute = 38
	MaxThreadsPerProcessor    Attribute = 39
	CapabilityMajor           Attribute = 75
	CapabilityMinor           Attribute = 76
	SharedMemoryPerProcessor  Attribute = 81
	MaxSharedMemoryOptIn      Attribute = 97
	ClusterLaunch             Attribute = 120
	TensorMapAccess           Attribute = 127
	maxArguments                        = 12
	memoryTypeHost, memDevice           = 1, 2
)

// kind names what a Context counts.
type kind string

const (
	deviceMemory kind = "device allocation"
	hostMemory   kind = "host allocation"
	aStream      kind = "stream"
	anEvent      kind = "event"
	aModule      kind = "module"
	aGraph       kind = "graph"
)

type resource struct {
	kind   kind
	handle uintptr
}

// A Context is a device's primary context, current on the thread that opened it.
type Context struct {
	api    *API
	device int32
	handle uintptr
	live   map[resource]int // size in bytes, or 0
	closed bool
	args   [maxArguments]uintptr // of the call in progress
	memory *callMemory
	pin    runtime.Pinner // of memory
}

// callMemory is what arguments point to.
type callMemory struct {
	rows memcpy2D
	ms   float32
}

// Open retains a device's primary context and makes it current on the calling thread, which must be locked
// (runtime.LockOSThread) and make all calls.
func (a *API) Open(ordinal int) (*Context, error) {
	n, err := a.Devices()
	if err != nil {
		return nil, err
	}
	if ordinal < 0 || ordinal >= n {
		return nil, fmt.Errorf("cuda device %d: the driver shows %d devices, numbered from 0: %w", ordinal, n, InvalidDevice)
	}
	c := &Context{api: a, live: map[resource]int{}, memory: new(callMemory)}
	if err := a.call(fnDeviceGet, uintptr(unsafe.Pointer(&c.device)), uintptr(ordinal)); err != nil {
		return nil, err
	}
	if err := a.call(fnPrimaryCtxRetain, uintptr(unsafe.Pointer(&c.handle)), uintptr(c.device)); err != nil {
		return nil, err
	}
	if err := a.call(fnCtxSetCurrent, c.handle); err != nil {
		return nil, errors.Join(err, a.call(fnPrimaryCtxRelease, uintptr(c.device)))
	}
	c.pin.Pin(c.memory)
	return c, nil
}

// Close releases the context. What was made in it and not freed is an error that lists it; the driver frees it when the
// last user of the device's primary context has gone.
func (c *Context) Close() error {
	if c.closed {
		return errors.New("close a CUDA context: it is closed already")
	}
	c.closed = true
	c.pin.Unpin()
	err := c.leaks()
	if e := c.api.call(fnCtxSetCurrent, 0); e != nil {
		err = errors.Join(err, e)
	}
	if e := c.api.call(fnPrimaryCtxRelease, uintptr(c.device)); e != nil {
		err = errors.Join(err, e)
	}
	return err
}

// leaks describes what is alive.
func (c *Context) leaks() error {
	count, bytes := map[kind]int{}, map[kind]int{}
	for r, n := range c.live {
		count[r.kind]++
		bytes[r.kind] += n
	}
	var list []string
	for k, n := range count {
		s := fmt.Sprintf("%d × %s", n, k)
		if bytes[k] > 0 {
			s += fmt.Sprintf(" (%d bytes)", bytes[k])
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return fmt.Errorf("close a CUDA context: not freed: %s", strings.Join(list, ", "))
}

// born and dies count a resource. dies fails for one that is not alive.
func (c *Context) born(k kind, handle uintptr, bytes int) { c.live[resource{k, handle}] = bytes }
func (c *Context) dies(k kind, handle uintptr) error {
	r := resource{k, handle}
	if _, ok := c.live[r]; !ok {
		return fmt.Errorf("free a CUDA %s at %#x: it is not of this context, or freed already", k, handle)
	}
	delete(c.live, r)
	return nil
}

// Synchronize waits for all work of the context.
func (c *Context) Synchronize() error { return c.api.call(fnCtxSynchronize) }

// Attribute is a property of the device.
func (c *Context) Attribute(which Attribute) (int, error) {
	var v int32
	err := c.api.call(fnDeviceGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(which), uintptr(c.device))
	return int(v), err
}

// Name is the card's name.
func (c *Context) Name() (string, error) {
	b := make([]byte, 256)
	err := c.api.call(fnDeviceGetName, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)-1), uintptr(c.device))
	return cString(&b[0]), err
}

// UUID identifies the card, in the form that NVML and nvidia-smi print.
func (c *Context) UUID() (string, error) {
	u := new([16]byte)
	err := c.api.call(fnDeviceGetUuid, uintptr(unsafe.Pointer(u)), uintptr(c.device))
	return fmt.Sprintf("GPU-%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), err
}

// PCIBusID is the card's place on the bus, domain:bus:device.function.
func (c *Context) PCIBusID() (string, error) {
	b := make([]byte, 32)
	err := c.api.call(fnDeviceGetPCIBusID, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)-1), uintptr(c.device))
	return cString(&b[0]), err
}

// Memory is the device's free and total memory in bytes.
func (c *Context) Memory() (free, total int, err error) {
	var m [2]uintptr
	err = c.api.call(fnMemGetInfo, uintptr(unsafe.Pointer(&m[0])), uintptr(unsafe.Pointer(&m[1])))
	return int(m[0]), int(m[1]), err
}
