//go:build linux && (!cgo || nonvml) && !nocuda

package device

import (
	"context"
	"errors"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeNVML gives Go functions C addresses under NVML's names. Functions that are absent are as in an old driver.
func fakeNVML(functions map[string]any) func(string) (uintptr, error) {
	return func(name string) (uintptr, error) {
		f, ok := functions[name]
		if !ok {
			return 0, errors.New("no such symbol")
		}
		return purego.NewCallback(f), nil
	}
}

func put(to *byte, n uint32, s string) int32 {
	copy(unsafe.Slice(to, n), s+"\x00")
	return 0
}

// functions of a machine with two cards, of handles 100 and 101.
func twoCards() map[string]any {
	waits := 0
	return map[string]any{
		"nvmlInit_v2":                        func() int32 { return 0 },
		"nvmlShutdown":                       func() int32 { return 0 },
		"nvmlSystemGetDriverVersion":         func(s *byte, n uint32) int32 { return put(s, n, "570.1") },
		"nvmlSystemGetCudaDriverVersion_v2":  func(v *int32) int32 { *v = 12080; return 0 },
		"nvmlDeviceGetCount_v2":              func(n *uint32) int32 { *n = 2; return 0 },
		"nvmlDeviceGetHandleByIndex_v2":      func(i uint32, d *handle) int32 { *d = handle(100 + i); return 0 },
		"nvmlDeviceGetName":                  func(_ handle, s *byte, n uint32) int32 { return put(s, n, "NVIDIA H100 80GB HBM3") },
		"nvmlDeviceGetUUID":                  func(d handle, s *byte, n uint32) int32 { return put(s, n, "GPU-"+string('a'+rune(d-100))) },
		"nvmlDeviceGetPciInfo_v3":            func(d handle, p *pciInfo) int32 { copy(p.busID[:], "00000000:1B:00.0"); return 0 },
		"nvmlDeviceGetCudaComputeCapability": func(_ handle, major, minor *int32) int32 { *major, *minor = 9, 0; return 0 },
		"nvmlDeviceGetMemoryInfo":            func(_ handle, m *[3]uint64) int32 { *m = [3]uint64{80 << 30, 79 << 30, 1 << 30}; return 0 },
		"nvmlDeviceGetTemperature":           func(_ handle, sensor int32, v *uint32) int32 { *v = 61; return 0 },
		"nvmlDeviceGetPowerUsage":            func(_ handle, v *uint32) int32 { *v = 70_500; return 0 },
		"nvmlDeviceGetTotalEccErrors": func(d handle, kind, _ int32, v *uint64) int32 {
			if *v = 0; kind == 1 && d == 101 {
				*v = 4
			}
			return 0
		},
		"nvmlDeviceGetRetiredPages_v2": func(_ handle, cause int32, n *uint32, _, _ *uint64) int32 {
			*n = uint32(3 + cause)
			return int32(insufficientSize)
		},
		"nvmlDeviceGetFieldValues": func(_ handle, n int32, v *fieldValue) int32 {
			if n != 1 || v.field != recoveryField {
				return 2
			}
			v.value = 1
			return 0
		},
		"nvmlDeviceGetComputeRunningProcesses_v3": func(_ handle, n *uint32, p *processInfo) int32 {
			if *n < 100 {
				*n = 100
				return int32(insufficientSize)
			}
			for i := range unsafe.Slice(p, 100) {
				unsafe.Slice(p, 100)[i] = processInfo{pid: uint32(i), memory: 1 << 20}
			}
			*n = 100
			return 0
		},
		"nvmlEventSetCreate":       func(set *uintptr) int32 { *set = 7; return 0 },
		"nvmlEventSetFree":         func(set uintptr) int32 { return 0 },
		"nvmlDeviceRegisterEvents": func(_ handle, kinds uint64, set uintptr) int32 { return 0 },
		"nvmlEventSetWait_v2": func(set uintptr, e *eventData, ms uint32) int32 {
			if waits++; waits == 1 {
				return int32(timeout)
			}
			e.device, e.data = 101, 74
			return 0
		},
	}
}

func TestCardsAreReadThroughOurOwnBinding(t *testing.T) {
	m, err := openSymbols(fakeNVML(twoCards()))
	require.NoError(t, err)
	defer m.Close()
	assert.Equal(t, Driver{"570.1", "12.8"}, m.Driver())
	cards, err := m.Cards()
	require.NoError(t, err)
	assert.Equal(t, []Card{
		{0, "NVIDIA H100 80GB HBM3", "GPU-a", "00000000:1B:00.0", "9.0", 80 << 30},
		{1, "NVIDIA H100 80GB HBM3", "GPU-b", "00000000:1B:00.0", "9.0", 80 << 30},
	}, cards)
	s, err := m.Sample(0)
	require.NoError(t, err, "functions that an old driver lacks are no error")
	assert.Equal(t, int64(79<<30), *s.MemoryFree)
	assert.Equal(t, 61, *s.Celsius)
	assert.Equal(t, 70.5, *s.Watts)
	assert.Nil(t, s.Busy)
	f, err := m.Faults(1)
	require.NoError(t, err)
	assert.Equal(t, uint64(4), *f.Uncorrected)
	assert.Equal(t, 3, *f.RetiredSingle)
	assert.Equal(t, 4, *f.RetiredDouble)
	assert.Equal(t, Reset, f.Recovery)
	ps, err := m.Processes(0)
	require.NoError(t, err)
	assert.Len(t, ps, 100)
	assert.Equal(t, Process{99, 1 << 20}, ps[99])
	_, h := Check(m, 1, nil)
	assert.Equal(t, Refuse, h.Verdict)

	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, m.Events(ctx, func(e Event) {
		assert.Equal(t, 1, e.Card)
		assert.Equal(t, 74, e.Xid)
		cancel()
	}))
}

func TestADriverThatDoesNotStartIsAbsent(t *testing.T) {
	f := twoCards()
	f["nvmlInit_v2"] = func() int32 { return 18 }
	_, err := openSymbols(fakeNVML(f))
	var absent *AbsentError
	require.ErrorAs(t, err, &absent)
	assert.ErrorContains(t, err, "driver and library versions differ")
}
