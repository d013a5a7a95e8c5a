//go:build linux && cgo && !nonvml

package device

import (
	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Open opens NVML through go-nvml. Without a driver it returns an [AbsentError].
func Open() (Monitor, error) {
	lib := nvml.New()
	if r := lib.Init(); r != nvml.SUCCESS {
		return nil, &AbsentError{code(r).Error()}
	}
	return openGoNVML(lib)
}

// openGoNVML is Open for a library that is initialised.
func openGoNVML(lib nvml.Interface) (Monitor, error) {
	m, err := newMonitor(&goNVML{lib: lib})
	if err != nil {
		lib.Shutdown()
		return nil, err
	}
	return m, nil
}

type goNVML struct {
	lib    nvml.Interface
	events nvml.EventSet
	uuids  []string // of the watched cards
}

func (l *goNVML) driver() (d Driver) {
	d.Version, _ = l.lib.SystemGetDriverVersion()
	if v, r := l.lib.SystemGetCudaDriverVersion(); r == nvml.SUCCESS {
		d.CUDA = cudaVersion(v)
	}
	return d
}

func (l *goNVML) count() (int, code) { n, r := l.lib.DeviceGetCount(); return n, code(r) }

func (l *goNVML) card(i int) (card, code) {
	d, r := l.lib.DeviceGetHandleByIndex(i)
	return goCard{d}, code(r)
}

func (l *goNVML) watch(cards []card) code {
	set, r := l.lib.EventSetCreate()
	if r != nvml.SUCCESS {
		return code(r)
	}
	l.events, l.uuids = set, nil
	for _, c := range cards {
		d := c.(goCard).d
		if r := d.RegisterEvents(nvml.EventTypeXidCriticalError, set); r != nvml.SUCCESS {
			return code(r)
		}
		uuid, _ := d.GetUUID()
		l.uuids = append(l.uuids, uuid)
	}
	return success
}

func (l *goNVML) wait(ms uint32) (index, xid int, c code) {
	e, r := l.events.Wait(ms)
	if r != nvml.SUCCESS {
		return 0, 0, code(r)
	}
	index = -1
	if e.Device != nil {
		uuid, _ := e.Device.GetUUID()
		for i, u := range l.uuids {
			if u == uuid {
				index = i
			}
		}
	}
	return index, int(e.EventData), success
}

func (l *goNVML) close() {
	if l.events != nil {
		l.events.Free()
	}
	l.lib.Shutdown()
}

type goCard struct{ d nvml.Device }

func (c goCard) name() (string, code) { s, r := c.d.GetName(); return s, code(r) }
func (c goCard) uuid() (string, code) { s, r := c.d.GetUUID(); return s, code(r) }

func (c goCard) pci() (string, code) {
	p, r := c.d.GetPciInfo()
	b := make([]byte, 0, len(p.BusId))
	for _, x := range p.BusId {
		if x == 0 {
			break
		}
		b = append(b, byte(x))
	}
	return string(b), code(r)
}

func (c goCard) capability() (int, int, code) {
	major, minor, r := c.d.GetCudaComputeCapability()
	return major, minor, code(r)
}

func (c goCard) memory() (total, free, used uint64, _ code) {
	m, r := c.d.GetMemoryInfo()
	return m.Total, m.Free, m.Used, code(r)
}

func (c goCard) utilization() (gpu, memory uint32, _ code) {
	u, r := c.d.GetUtilizationRates()
	return u.Gpu, u.Memory, code(r)
}

func (c goCard) temperature() (uint32, code) {
	v, r := c.d.GetTemperature(nvml.TEMPERATURE_GPU)
	return v, code(r)
}

func (c goCard) threshold(kind int) (uint32, code) {
	v, r := c.d.GetTemperatureThreshold(nvml.TemperatureThresholds(kind))
	return v, code(r)
}

func (c goCard) power() (uint32, code)      { v, r := c.d.GetPowerUsage(); return v, code(r) }
func (c goCard) powerLimit() (uint32, code) { v, r := c.d.GetEnforcedPowerLimit(); return v, code(r) }
func (c goCard) energy() (uint64, code)     { v, r := c.d.GetTotalEnergyConsumption(); return v, code(r) }

func (c goCard) clock(kind int) (uint32, code) {
	v, r := c.d.GetClockInfo(nvml.ClockType(kind))
	return v, code(r)
}

func (c goCard) maxClock(kind int) (uint32, code) {
	v, r := c.d.GetMaxClockInfo(nvml.ClockType(kind))
	return v, code(r)
}

// reasons asks by the name that all drivers know.
func (c goCard) reasons() (uint64, code) {
	v, r := c.d.GetCurrentClocksThrottleReasons()
	return v, code(r)
}

func (c goCard) eccMode() (bool, code) {
	now, _, r := c.d.GetEccMode()
	return now == nvml.FEATURE_ENABLED, code(r)
}

func (c goCard) ecc(uncorrected bool) (uint64, code) {
	kind := nvml.MEMORY_ERROR_TYPE_CORRECTED
	if uncorrected {
		kind = nvml.MEMORY_ERROR_TYPE_UNCORRECTED
	}
	v, r := c.d.GetTotalEccErrors(kind, nvml.VOLATILE_ECC)
	return v, code(r)
}

func (c goCard) remapped() (uncorrectable int, pending, failed bool, _ code) {
	_, n, pending, failed, r := c.d.GetRemappedRows()
	return n, pending, failed, code(r)
}

func (c goCard) retired(double bool) (int, code) {
	cause := nvml.PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS
	if double {
		cause = nvml.PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR
	}
	pages, _, r := c.d.GetRetiredPages_v2(nvml.PageRetirementCause(cause))
	return len(pages), code(r)
}

func (c goCard) retirePending() (bool, code) {
	v, r := c.d.GetRetiredPagesPendingStatus()
	return v == nvml.FEATURE_ENABLED, code(r)
}

func (c goCard) recovery() (int, code) {
	v := []nvml.FieldValue{{FieldId: recoveryField}}
	if r := c.d.GetFieldValues(v); r != nvml.SUCCESS {
		return 0, code(r)
	}
	return int(v[0].Value[0]), code(v[0].NvmlReturn)
}

func (c goCard) pcieReplays() (uint64, code) {
	v, r := c.d.GetPcieReplayCounter()
	return uint64(v), code(r)
}

func (c goCard) pcie() (gen, width, genMax, widthMax int, _ code) {
	for _, q := range []struct {
		get func() (int, nvml.Return)
		to  *int
	}{
		{c.d.GetCurrPcieLinkGeneration, &gen}, {c.d.GetCurrPcieLinkWidth, &width},
		{c.d.GetMaxPcieLinkGeneration, &genMax}, {c.d.GetMaxPcieLinkWidth, &widthMax},
	} {
		v, r := q.get()
		if r != nvml.SUCCESS {
			return 0, 0, 0, 0, code(r)
		}
		*q.to = v
	}
	return gen, width, genMax, widthMax, success
}

func (c goCard) nvlink(link int) (bool, code) {
	v, r := c.d.GetNvLinkState(link)
	return v == nvml.FEATURE_ENABLED, code(r)
}

func (c goCard) nvlinkErrors(link, counter int) (uint64, code) {
	v, r := c.d.GetNvLinkErrorCounter(link, nvml.NvLinkErrorCounter(counter))
	return v, code(r)
}

func (c goCard) processes() (list []Process, _ code) {
	ps, r := c.d.GetComputeRunningProcesses()
	for _, p := range ps {
		list = append(list, process(p.Pid, p.UsedGpuMemory))
	}
	return list, code(r)
}
