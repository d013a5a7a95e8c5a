//go:build linux && cgo && !nonvml

package device

import (
	"context"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh200"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// complete makes a mock card answer the calls that NVIDIA's mock leaves out, as a healthy idle card does.
func complete(d *server.Device) {
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 97, Memory: 41}, nvml.SUCCESS }
	d.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 55, nvml.SUCCESS }
	d.GetTemperatureThresholdFunc = func(k nvml.TemperatureThresholds) (uint32, nvml.Return) {
		return map[nvml.TemperatureThresholds]uint32{nvml.TEMPERATURE_THRESHOLD_SHUTDOWN: 92, nvml.TEMPERATURE_THRESHOLD_SLOWDOWN: 87}[k], nvml.SUCCESS
	}
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 523_400, nvml.SUCCESS }
	d.GetEnforcedPowerLimitFunc = func() (uint32, nvml.Return) { return 700_000, nvml.SUCCESS }
	d.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return 12_345, nvml.SUCCESS }
	d.GetClockInfoFunc = func(k nvml.ClockType) (uint32, nvml.Return) {
		return map[nvml.ClockType]uint32{nvml.CLOCK_SM: 1755, nvml.CLOCK_MEM: 2619}[k], nvml.SUCCESS
	}
	d.GetMaxClockInfoFunc = func(nvml.ClockType) (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	d.GetCurrentClocksThrottleReasonsFunc = func() (uint64, nvml.Return) { return uint64(PowerCap), nvml.SUCCESS }
	d.GetEccModeFunc = func() (nvml.EnableState, nvml.EnableState, nvml.Return) {
		return nvml.FEATURE_ENABLED, nvml.FEATURE_ENABLED, nvml.SUCCESS
	}
	d.GetTotalEccErrorsFunc = func(k nvml.MemoryErrorType, _ nvml.EccCounterType) (uint64, nvml.Return) {
		if k == nvml.MEMORY_ERROR_TYPE_UNCORRECTED {
			return 0, nvml.SUCCESS
		}
		return 7, nvml.SUCCESS
	}
	d.GetRemappedRowsFunc = func() (int, int, bool, bool, nvml.Return) { return 5, 2, false, false, nvml.SUCCESS }
	d.GetRetiredPages_v2Func = func(nvml.PageRetirementCause) ([]uint64, []uint64, nvml.Return) {
		return nil, nil, nvml.ERROR_NOT_SUPPORTED
	}
	d.GetRetiredPagesPendingStatusFunc = func() (nvml.EnableState, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	d.GetFieldValuesFunc = func(v []nvml.FieldValue) nvml.Return {
		v[0].NvmlReturn = uint32(nvml.ERROR_NOT_SUPPORTED)
		return nvml.SUCCESS
	}
	d.GetPcieReplayCounterFunc = func() (int, nvml.Return) { return 3, nvml.SUCCESS }
	d.GetCurrPcieLinkGenerationFunc = func() (int, nvml.Return) { return 5, nvml.SUCCESS }
	d.GetMaxPcieLinkGenerationFunc = func() (int, nvml.Return) { return 5, nvml.SUCCESS }
	d.GetCurrPcieLinkWidthFunc = func() (int, nvml.Return) { return 16, nvml.SUCCESS }
	d.GetMaxPcieLinkWidthFunc = func() (int, nvml.Return) { return 16, nvml.SUCCESS }
	d.GetNvLinkStateFunc = func(int) (nvml.EnableState, nvml.Return) { return nvml.FEATURE_ENABLED, nvml.SUCCESS }
	d.GetNvLinkErrorCounterFunc = func(int, nvml.NvLinkErrorCounter) (uint64, nvml.Return) { return 0, nvml.SUCCESS }
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
		return []nvml.ProcessInfo{{Pid: 42, UsedGpuMemory: 1 << 30}, {Pid: 43, UsedGpuMemory: ^uint64(0)}}, nvml.SUCCESS
	}
}

func open(t *testing.T, s *server.Server) Monitor {
	for _, d := range s.Devices {
		complete(d.(*server.Device))
	}
	m, err := openGoNVML(s)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	return m
}

func TestCardsOfAnH100ServerAreIdentifiedAndRead(t *testing.T) {
	m := open(t, dgxh100.New())
	assert.Equal(t, Driver{"550.54.15", "12.4"}, m.Driver())
	cards, err := m.Cards()
	require.NoError(t, err)
	require.Len(t, cards, 8)
	assert.Equal(t, "NVIDIA H100 80GB HBM3", cards[3].Name)
	assert.Equal(t, "9.0", cards[3].Capability)
	assert.Equal(t, int64(80<<30), cards[3].Memory)
	assert.Equal(t, 3, cards[3].Index)
	assert.NotEqual(t, cards[2].UUID, cards[3].UUID)

	s, h := Check(m, 3, nil)
	assert.Equal(t, OK, h.Verdict, "%v", h.Reasons)
	assert.Equal(t, 523.4, *s.Watts)
	assert.Equal(t, 700.0, *s.PowerLimit)
	assert.Equal(t, 12.345, *s.Joules)
	assert.Equal(t, 97, *s.Busy)
	assert.Equal(t, 55, *s.Celsius)
	assert.Equal(t, 87, *s.Slowdown)
	assert.Equal(t, 92, *s.Shutdown)
	assert.Equal(t, 1755, *s.SMClock)
	assert.Equal(t, 2619, *s.MemoryClock)
	assert.Nil(t, s.SMClockMax)
	assert.Equal(t, []string{"power cap"}, s.ThrottleNames)
	f, err := m.Faults(3)
	require.NoError(t, err)
	assert.Equal(t, uint64(7), *f.Corrected)
	assert.Equal(t, 2, *f.RemappedRows)
	assert.Nil(t, f.RetiredSingle)
	assert.Equal(t, uint64(0), *f.NVLinkCRC)
	l, err := m.Links(3)
	require.NoError(t, err)
	assert.Equal(t, Links{5, 5, 16, 16, 18, 0}, l)
	ps, err := m.Processes(3)
	require.NoError(t, err)
	assert.Equal(t, []Process{{42, 1 << 30}, {43, 0}}, ps)
	_, err = m.Sample(8)
	assert.ErrorContains(t, err, "card 8: this machine has 8")
}

func TestALostCardIsRefusedAndTheOthersAreNot(t *testing.T) {
	s := dgxh200.New()
	m := open(t, s)
	s.Devices[5].(*server.Device).GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, nvml.ERROR_GPU_IS_LOST }
	_, err := m.Sample(5)
	assert.ErrorIs(t, err, ErrLost)
	_, h := Check(m, 5, nil)
	assert.Equal(t, Refuse, h.Verdict)
	assert.Contains(t, h.Reasons[0], "fallen off the bus")
	_, h = Check(m, 4, nil)
	assert.Equal(t, OK, h.Verdict)
}

func TestEventsAreReportedUntilTheContextEnds(t *testing.T) {
	s := dgxh100.New()
	queue := make(chan nvml.EventData, 2)
	s.EventSetCreateFunc = func() (nvml.EventSet, nvml.Return) {
		return &mock.EventSet{
			WaitFunc: func(uint32) (nvml.EventData, nvml.Return) {
				select {
				case e := <-queue:
					return e, nvml.SUCCESS
				case <-time.After(time.Millisecond):
					return nvml.EventData{}, nvml.ERROR_TIMEOUT
				}
			},
			FreeFunc: func() nvml.Return { return nvml.SUCCESS },
		}, nvml.SUCCESS
	}
	for _, d := range s.Devices {
		d.(*server.Device).RegisterEventsFunc = func(kinds uint64, _ nvml.EventSet) nvml.Return {
			assert.Equal(t, uint64(xidEvent), kinds)
			return nvml.SUCCESS
		}
	}
	m := open(t, s)
	queue <- nvml.EventData{Device: s.Devices[6], EventData: 79}
	queue <- nvml.EventData{EventData: 48}
	ctx, cancel := context.WithCancel(t.Context())
	var got []Event
	require.NoError(t, m.Events(ctx, func(e Event) {
		if got = append(got, e); len(got) == 2 {
			cancel()
		}
	}))
	require.Len(t, got, 2)
	assert.Equal(t, 6, got[0].Card)
	assert.Equal(t, 79, got[0].Xid)
	assert.Equal(t, -1, got[1].Card)
	assert.Equal(t, 48, got[1].Xid)
}
