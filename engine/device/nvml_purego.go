//go:build linux && (!cgo || nonvml) && !nocuda

package device

import (
	"os"
	"reflect"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libraries are tried in order. FORJA_NVML names another one first.
var libraries = []string{"libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1", "/run/nvidia/driver/usr/lib64/libnvidia-ml.so.1"}

// Open opens NVML through purego. Without a driver it returns an [AbsentError].
func Open() (Monitor, error) {
	paths := libraries
	if p := os.Getenv("FORJA_NVML"); p != "" {
		paths = []string{p}
	}
	var tried []string
	for _, p := range paths {
		h, err := purego.Dlopen(p, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			tried = append(tried, p)
			continue
		}
		return openSymbols(func(name string) (uintptr, error) { return purego.Dlsym(h, name) })
	}
	return nil, &AbsentError{"none of " + strings.Join(tried, ", ") + " can be opened"}
}

// openSymbols is Open for a library whose functions resolve finds.
func openSymbols(resolve func(name string) (uintptr, error)) (Monitor, error) {
	l := &binding{}
	for _, s := range []struct {
		name string
		to   any
	}{
		{"nvmlInit_v2", &l.init}, {"nvmlShutdown", &l.shutdown},
		{"nvmlSystemGetDriverVersion", &l.driverVersion}, {"nvmlSystemGetCudaDriverVersion_v2", &l.cudaVersion},
		{"nvmlDeviceGetCount_v2", &l.deviceCount}, {"nvmlDeviceGetHandleByIndex_v2", &l.deviceHandle},
		{"nvmlDeviceGetName", &l.deviceName}, {"nvmlDeviceGetUUID", &l.deviceUUID}, {"nvmlDeviceGetPciInfo_v3", &l.pciInfo},
		{"nvmlDeviceGetCudaComputeCapability", &l.computeCapability}, {"nvmlDeviceGetMemoryInfo", &l.memoryInfo},
		{"nvmlDeviceGetUtilizationRates", &l.utilizationRates}, {"nvmlDeviceGetTemperature", &l.deviceTemperature},
		{"nvmlDeviceGetTemperatureThreshold", &l.temperatureThreshold}, {"nvmlDeviceGetPowerUsage", &l.powerUsage},
		{"nvmlDeviceGetEnforcedPowerLimit", &l.enforcedLimit}, {"nvmlDeviceGetTotalEnergyConsumption", &l.totalEnergy},
		{"nvmlDeviceGetClockInfo", &l.clockInfo}, {"nvmlDeviceGetMaxClockInfo", &l.maxClockInfo},
		{"nvmlDeviceGetCurrentClocksThrottleReasons", &l.throttleReasons}, {"nvmlDeviceGetEccMode", &l.deviceECC},
		{"nvmlDeviceGetTotalEccErrors", &l.totalECC}, {"nvmlDeviceGetRemappedRows", &l.remappedRows},
		{"nvmlDeviceGetRetiredPages_v2", &l.retiredPages}, {"nvmlDeviceGetRetiredPagesPendingStatus", &l.retiredPending},
		{"nvmlDeviceGetFieldValues", &l.fieldValues}, {"nvmlDeviceGetPcieReplayCounter", &l.replayCounter},
		{"nvmlDeviceGetCurrPcieLinkGeneration", &l.linkGeneration}, {"nvmlDeviceGetCurrPcieLinkWidth", &l.linkWidth},
		{"nvmlDeviceGetMaxPcieLinkGeneration", &l.maxLinkGeneration}, {"nvmlDeviceGetMaxPcieLinkWidth", &l.maxLinkWidth},
		{"nvmlDeviceGetNvLinkState", &l.nvLinkState}, {"nvmlDeviceGetNvLinkErrorCounter", &l.nvLinkErrors},
		{"nvmlDeviceGetComputeRunningProcesses_v3", &l.runningProcesses}, {"nvmlEventSetCreate", &l.eventSetCreate},
		{"nvmlEventSetFree", &l.eventSetFree}, {"nvmlDeviceRegisterEvents", &l.registerEvents}, {"nvmlEventSetWait_v2", &l.eventSetWait},
	} {
		at, err := resolve(s.name)
		if err != nil {
			at = 0 // of a newer or older driver: the call says so when it is made
		}
		bind(s.to, at)
	}
	if c := l.init(); c != 0 {
		return nil, &AbsentError{code(c).Error()}
	}
	m, err := newMonitor(l)
	if err != nil {
		l.shutdown()
		return nil, err
	}
	return m, nil
}

// bind makes the function that to points at call the one at an address, or fail if there is none.
func bind(to any, at uintptr) {
	if at != 0 {
		purego.RegisterFunc(to, at)
		return
	}
	missing := []reflect.Value{reflect.ValueOf(int32(functionNotFound))}
	f := reflect.ValueOf(to).Elem()
	f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value { return missing }))
}

// A handle is a nvmlDevice_t: an address of NVML's.
type handle uintptr

// binding holds NVML's functions, in nvml.h's order of arguments.
type binding struct {
	init, shutdown    func() int32
	driverVersion     func(s *byte, n uint32) int32
	cudaVersion       func(v *int32) int32
	deviceCount       func(n *uint32) int32
	deviceHandle      func(i uint32, d *handle) int32
	deviceName        func(d handle, s *byte, n uint32) int32
	deviceUUID        func(d handle, s *byte, n uint32) int32
	pciInfo           func(d handle, p *pciInfo) int32
	computeCapability func(d handle, major, minor *int32) int32
	memoryInfo        func(d handle, m *[3]uint64) int32 // total, free, used
	utilizationRates  func(d handle, u *[2]uint32) int32 // GPU, memory

	deviceTemperature    func(d handle, sensor int32, v *uint32) int32
	temperatureThreshold func(d handle, kind int32, v *uint32) int32
	powerUsage           func(d handle, v *uint32) int32
	enforcedLimit        func(d handle, v *uint32) int32
	totalEnergy          func(d handle, v *uint64) int32
	clockInfo            func(d handle, kind int32, v *uint32) int32
	maxClockInfo         func(d handle, kind int32, v *uint32) int32
	throttleReasons      func(d handle, v *uint64) int32

	deviceECC      func(d handle, now, next *int32) int32
	totalECC       func(d handle, kind, counter int32, v *uint64) int32
	remappedRows   func(d handle, corrected, uncorrected, pending, failed *uint32) int32
	retiredPages   func(d handle, cause int32, n *uint32, addresses, times *uint64) int32
	retiredPending func(d handle, v *int32) int32
	fieldValues    func(d handle, n int32, v *fieldValue) int32
	replayCounter  func(d handle, v *uint32) int32

	linkGeneration, linkWidth       func(d handle, v *uint32) int32
	maxLinkGeneration, maxLinkWidth func(d handle, v *uint32) int32
	nvLinkState                     func(d handle, link uint32, v *int32) int32
	nvLinkErrors                    func(d handle, link uint32, counter int32, v *uint64) int32
	runningProcesses                func(d handle, n *uint32, p *processInfo) int32

	eventSetCreate func(set *uintptr) int32
	eventSetFree   func(set uintptr) int32
	registerEvents func(d handle, kinds uint64, set uintptr) int32
	eventSetWait   func(set uintptr, e *eventData, ms uint32) int32

	events  uintptr
	watched []handle
}

// The structs of nvml.h, as far as they are used.
type (
	pciInfo struct {
		_     [16]byte  // the legacy form of busID
		_     [5]uint32 // domain, bus, device, device id, subsystem id
		busID [32]byte
	}
	fieldValue struct {
		field  uint32
		_      uint32   // scope
		_      [2]int64 // time, latency
		_      uint32   // type of value
		result int32
		value  uint64
	}
	processInfo struct {
		pid    uint32
		memory uint64
		_      [2]uint32 // GPU and compute instance
	}
	eventData struct {
		device handle
		_      uint64 // kind
		data   uint64
		_      [2]uint32 // GPU and compute instance
	}
)

// text calls a function that fills a buffer.
func text(f func(s *byte, n uint32) int32) (string, code) {
	var b [96]byte
	c := f(&b[0], uint32(len(b)))
	s, _, _ := strings.Cut(string(b[:]), "\x00")
	return s, code(c)
}

func (l *binding) driver() (d Driver) {
	d.Version, _ = text(l.driverVersion)
	var v int32
	if l.cudaVersion(&v) == 0 {
		d.CUDA = cudaVersion(int(v))
	}
	return d
}

func (l *binding) count() (int, code) {
	var n uint32
	c := l.deviceCount(&n)
	return int(n), code(c)
}

func (l *binding) card(i int) (card, code) {
	b := boundCard{l: l}
	c := l.deviceHandle(uint32(i), &b.d)
	return b, code(c)
}

func (l *binding) watch(cards []card) code {
	if c := l.eventSetCreate(&l.events); c != 0 {
		return code(c)
	}
	l.watched = nil
	for _, c := range cards {
		d := c.(boundCard).d
		if c := l.registerEvents(d, xidEvent, l.events); c != 0 {
			return code(c)
		}
		l.watched = append(l.watched, d)
	}
	return success
}

func (l *binding) wait(ms uint32) (index, xid int, c code) {
	var e eventData
	if c := l.eventSetWait(l.events, &e, ms); c != 0 {
		return 0, 0, code(c)
	}
	index = -1
	for i, d := range l.watched {
		if d == e.device {
			index = i
		}
	}
	return index, int(e.data), success
}

func (l *binding) close() {
	if l.events != 0 {
		l.eventSetFree(l.events)
	}
	l.shutdown()
}

// boundCard is a card of a binding.
type boundCard struct {
	l *binding
	d handle
}

// u32 is a call that gives one number.
func (b boundCard) u32(f func(handle, *uint32) int32) (v uint32, c code) {
	c = code(f(b.d, &v))
	return v, c
}

func (b boundCard) name() (string, code) {
	return text(func(s *byte, n uint32) int32 { return b.l.deviceName(b.d, s, n) })
}

func (b boundCard) uuid() (string, code) {
	return text(func(s *byte, n uint32) int32 { return b.l.deviceUUID(b.d, s, n) })
}

func (b boundCard) pci() (string, code) {
	var p pciInfo
	c := b.l.pciInfo(b.d, &p)
	s, _, _ := strings.Cut(string(p.busID[:]), "\x00")
	return s, code(c)
}

func (b boundCard) capability() (int, int, code) {
	var major, minor int32
	c := b.l.computeCapability(b.d, &major, &minor)
	return int(major), int(minor), code(c)
}

func (b boundCard) memory() (total, free, used uint64, _ code) {
	var m [3]uint64
	c := b.l.memoryInfo(b.d, &m)
	return m[0], m[1], m[2], code(c)
}

func (b boundCard) utilization() (gpu, memory uint32, _ code) {
	var u [2]uint32
	c := b.l.utilizationRates(b.d, &u)
	return u[0], u[1], code(c)
}

func (b boundCard) temperature() (v uint32, c code) {
	c = code(b.l.deviceTemperature(b.d, 0, &v))
	return v, c
}

func (b boundCard) threshold(kind int) (v uint32, c code) {
	c = code(b.l.temperatureThreshold(b.d, int32(kind), &v))
	return v, c
}

func (b boundCard) power() (uint32, code)       { return b.u32(b.l.powerUsage) }
func (b boundCard) powerLimit() (uint32, code)  { return b.u32(b.l.enforcedLimit) }
func (b boundCard) energy() (v uint64, c code)  { c = code(b.l.totalEnergy(b.d, &v)); return v, c }
func (b boundCard) reasons() (v uint64, c code) { c = code(b.l.throttleReasons(b.d, &v)); return v, c }
func (b boundCard) pcieReplays() (uint64, code) {
	v, c := b.u32(b.l.replayCounter)
	return uint64(v), c
}

func (b boundCard) clock(kind int) (v uint32, c code) {
	c = code(b.l.clockInfo(b.d, int32(kind), &v))
	return v, c
}

func (b boundCard) maxClock(kind int) (v uint32, c code) {
	c = code(b.l.maxClockInfo(b.d, int32(kind), &v))
	return v, c
}

func (b boundCard) eccMode() (bool, code) {
	var now, next int32
	c := b.l.deviceECC(b.d, &now, &next)
	return now == 1, code(c)
}

func (b boundCard) ecc(uncorrected bool) (v uint64, c code) {
	var kind int32
	if uncorrected {
		kind = 1
	}
	c = code(b.l.totalECC(b.d, kind, 0, &v)) // 0: volatile, since the driver was loaded
	return v, c
}

func (b boundCard) remapped() (uncorrectable int, pending, failed bool, _ code) {
	var corrected, n, p, f uint32
	c := b.l.remappedRows(b.d, &corrected, &n, &p, &f)
	return int(n), p != 0, f != 0, code(c)
}

// retired asks for the number alone, to which NVML answers that no room was given for the addresses.
func (b boundCard) retired(double bool) (int, code) {
	var cause int32
	if double {
		cause = 1
	}
	var n uint32
	c := code(b.l.retiredPages(b.d, cause, &n, nil, nil))
	if c == insufficientSize {
		c = success
	}
	return int(n), c
}

func (b boundCard) retirePending() (bool, code) {
	var v int32
	c := b.l.retiredPending(b.d, &v)
	return v == 1, code(c)
}

func (b boundCard) recovery() (int, code) {
	v := fieldValue{field: recoveryField}
	if c := b.l.fieldValues(b.d, 1, &v); c != 0 {
		return 0, code(c)
	}
	return int(uint32(v.value)), code(v.result)
}

func (b boundCard) pcie() (gen, width, genMax, widthMax int, _ code) {
	for _, q := range []struct {
		get func(handle, *uint32) int32
		to  *int
	}{{b.l.linkGeneration, &gen}, {b.l.linkWidth, &width}, {b.l.maxLinkGeneration, &genMax}, {b.l.maxLinkWidth, &widthMax}} {
		v, c := b.u32(q.get)
		if c != success {
			return 0, 0, 0, 0, c
		}
		*q.to = int(v)
	}
	return gen, width, genMax, widthMax, success
}

func (b boundCard) nvlink(link int) (bool, code) {
	var v int32
	c := b.l.nvLinkState(b.d, uint32(link), &v)
	return v == 1, code(c)
}

func (b boundCard) nvlinkErrors(link, counter int) (v uint64, c code) {
	c = code(b.l.nvLinkErrors(b.d, uint32(link), int32(counter), &v))
	return v, c
}

func (b boundCard) processes() (list []Process, _ code) {
	ps := make([]processInfo, 64)
	for {
		n := uint32(len(ps))
		c := code(b.l.runningProcesses(b.d, &n, unsafe.SliceData(ps)))
		if c == insufficientSize && len(ps) < 1<<16 { // more have started
			ps = make([]processInfo, 2*len(ps))
			continue
		}
		if c != success {
			return nil, c
		}
		for _, p := range ps[:n] {
			list = append(list, process(p.pid, p.memory))
		}
		return list, success
	}
}
