package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/device"
	"forja/engine/vfs"
)

// fakeMonitor is one card whose readings a test sets.
type fakeMonitor struct {
	mu     sync.Mutex
	hot    int // °C
	free   int64
	errors uint64
	xids   chan int
}

func (m *fakeMonitor) set(hot int, errors uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hot, m.errors = hot, errors
}

func (m *fakeMonitor) Driver() device.Driver                   { return device.Driver{} }
func (m *fakeMonitor) Cards() ([]device.Card, error)           { return []device.Card{{UUID: "GPU-a"}}, nil }
func (m *fakeMonitor) Links(int) (device.Links, error)         { return device.Links{}, nil }
func (m *fakeMonitor) Processes(int) ([]device.Process, error) { return nil, nil }
func (m *fakeMonitor) Close() error                            { return nil }
func (m *fakeMonitor) Sample(int) (device.Sample, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return device.Sample{Celsius: new(m.hot), Slowdown: new(87), MemoryFree: new(m.free)}, nil
}

func (m *fakeMonitor) Faults(int) (device.Faults, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return device.Faults{Uncorrected: new(m.errors)}, nil
}

func (m *fakeMonitor) Events(ctx context.Context, report func(device.Event)) error {
	for {
		select {
		case xid := <-m.xids:
			report(device.Event{Time: time.Now(), Xid: xid})
		case <-ctx.Done():
			return nil
		}
	}
}

// logged runs a log for as long as during takes, and returns its lines and what was said.
func logged(t *testing.T, m *fakeMonitor, during func(running context.Context)) (lines []deviceLine, said []string) {
	synctest.Test(t, func(t *testing.T) {
		m.xids = make(chan int) // of this bubble
		fsys := vfs.NewMem()
		var mu sync.Mutex
		running, l, err := logDevice(t.Context(), m, device.Card{UUID: "GPU-a"}, fsys, time.Second, func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, format)
		})
		require.NoError(t, err)
		during(running)
		require.NoError(t, l.close())
		b, err := vfs.ReadFile(fsys, deviceFile, 1<<20)
		require.NoError(t, err)
		for line := range strings.Lines(string(b)) {
			var d deviceLine
			require.NoError(t, json.Unmarshal([]byte(line), &d))
			lines = append(lines, d)
		}
	})
	return lines, said
}

func TestACardIsSampledEverySecond(t *testing.T) {
	m := &fakeMonitor{hot: 50}
	lines, said := logged(t, m, func(running context.Context) {
		time.Sleep(2500 * time.Millisecond)
		m.set(86, 0)
		time.Sleep(2 * time.Second)
		assert.NoError(t, running.Err(), "a warning stops nothing")
	})
	require.Len(t, lines, 5)
	assert.Equal(t, 50, *lines[0].Celsius)
	assert.Equal(t, "GPU-a", lines[0].Card)
	assert.Nil(t, lines[1].Verdict)
	assert.Equal(t, 86, *lines[3].Celsius)
	assert.Contains(t, lines[3].Reasons[0], "86 °C")
	assert.Nil(t, lines[4].Verdict, "a verdict is told when it changes")
	assert.Len(t, said, 1)
}

func TestARunIsStoppedWhenItsCardFails(t *testing.T) {
	for name, fail := range map[string]func(*fakeMonitor){
		"memory": func(m *fakeMonitor) { m.set(50, 3) },
		"Xid":    func(m *fakeMonitor) { m.xids <- 79 },
	} {
		t.Run(name, func(t *testing.T) {
			m := &fakeMonitor{hot: 50}
			lines, _ := logged(t, m, func(running context.Context) {
				go fail(m)
				<-running.Done()
				assert.ErrorIs(t, context.Cause(running), errSickCard)
			})
			last := lines[len(lines)-1]
			assert.NotEmpty(t, last.Reasons)
		})
	}
}

func TestAProgramsOwnXidStopsNothing(t *testing.T) {
	m := &fakeMonitor{hot: 50}
	lines, _ := logged(t, m, func(running context.Context) {
		m.xids <- 31
		time.Sleep(1500 * time.Millisecond)
		assert.NoError(t, running.Err())
	})
	assert.Equal(t, 31, lines[1].Xid)
}
