package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"forja/engine/device"
	"forja/engine/sched"
	"forja/kernels"
	"forja/kernels/cuda"
	"forja/kernels/cuda/driver"
)

// spare is what a job's process takes of a card besides its plan: the driver's context and its compiled kernels.
const spare = 512 << 20

// jobDevices are where the scheduler may place jobs: the processor, and every card that forja's kernels run on, each for one
// job at a time. survey reads the cards' health and free memory; it is nil without NVML.
func (a *app) jobDevices(ctx context.Context) (devices []sched.Device, survey func() map[string]sched.Reading, end func(), err error) {
	dev, err := kernels.OpenDevice(openCPU)
	if err != nil {
		return nil, nil, nil, deviceError{err}
	}
	var memory int
	err = dev.Do(ctx, func(b kernels.Backend) error { memory = b.Info().Memory; return nil })
	if err = errors.Join(err, dev.Close()); err != nil {
		return nil, nil, nil, err
	}
	devices, end = []sched.Device{{Name: "cpu", Bytes: int64(memory), MaxJobs: 1}}, func() {}
	cards, err := cuda.Cards()
	if errors.Is(err, driver.ErrNoDriver) || err == nil && len(cards) == 0 {
		return devices, nil, end, nil
	}
	if err != nil {
		a.talk.printf("! no job will be placed on a card: %v", err)
		return devices, nil, end, nil
	}
	for _, c := range cards {
		devices = append(devices, sched.Device{Name: cardName(c), Bytes: int64(c.Memory) - spare, MaxJobs: 1})
	}
	m, err := device.Open()
	if err != nil {
		a.talk.printf("! cards are trusted unseen: %v", err)
		return devices, nil, end, nil
	}
	health := watchCards(ctx, m)
	return devices, func() map[string]sched.Reading { return health.survey(cards) }, health.close, nil
}

func cardName(c driver.Card) string { return fmt.Sprintf("cuda:%d", c.Ordinal) }

// cardHealth reads all cards, and remembers their Xid errors.
type cardHealth struct {
	monitor device.Monitor
	xids    chan device.Event
	seen    []device.Event
	cancel  context.CancelFunc
	ended   chan struct{}
}

func watchCards(ctx context.Context, m device.Monitor) *cardHealth {
	h := &cardHealth{monitor: m, xids: make(chan device.Event, 1024), ended: make(chan struct{})}
	ctx, h.cancel = context.WithCancel(ctx)
	go func() {
		defer close(h.ended)
		// Without events the counters still tell.
		_ = m.Events(ctx, func(e device.Event) {
			select {
			case h.xids <- e:
			default: // a thousand that nobody has looked at say enough
			}
		})
	}()
	return h
}

func (h *cardHealth) close() {
	h.cancel()
	<-h.ended
	h.monitor.Close()
}

// survey reads every card that CUDA shows. It is called from one goroutine.
func (h *cardHealth) survey(cards []driver.Card) map[string]sched.Reading {
	for len(h.xids) > 0 {
		h.seen = append(h.seen, <-h.xids)
	}
	readings := map[string]sched.Reading{}
	known, err := h.monitor.Cards()
	for _, c := range cards {
		card, ok := device.ByUUID(known, c.UUID)
		if !ok {
			why := "NVML does not show it"
			if err != nil {
				why = err.Error()
			}
			readings[cardName(c)] = sched.Reading{Free: -1, Refused: why}
			continue
		}
		var xids []device.Event
		for _, e := range h.seen {
			if e.Card == card.Index {
				xids = append(xids, e)
			}
		}
		s, health := device.Check(h.monitor, card.Index, xids)
		r := sched.Reading{Free: -1}
		if s.MemoryFree != nil {
			r.Free = *s.MemoryFree - spare
		}
		if health.Verdict == device.Refuse {
			r.Refused = strings.Join(health.Reasons, "; ")
		}
		readings[cardName(c)] = r
	}
	return readings
}
