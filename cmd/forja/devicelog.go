package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"forja/engine/device"
	"forja/engine/vfs"
	"forja/kernels"
)

// deviceFile is where a run on a card records what the card did.
const deviceFile = "device.jsonl"

// A deviceLine is a line of device.jsonl: a sample, or an Xid error.
type deviceLine struct {
	Time time.Time `json:"time"`
	Card string    `json:"card"` // UUID
	*device.Sample
	Verdict *device.Verdict `json:"verdict,omitempty"` // of the first line, and whenever it changes
	Reasons []string        `json:"reasons,omitempty"`
	Xid     int             `json:"xid,omitempty"`
}

// errSickCard is why a run stops, after saving, when its card fails.
var errSickCard = errors.New("the card is not fit to go on")

// A deviceLog samples the card of a run into device.jsonl until it is closed.
type deviceLog struct {
	monitor device.Monitor
	card    device.Card
	journal *vfs.Journal
	say     func(format string, args ...any)
	sick    context.CancelCauseFunc
	stop    context.CancelFunc
	wait    sync.WaitGroup

	mu   sync.Mutex
	xids []device.Event
	last device.Verdict
	err  error
}

// watchCard logs what a run's card does while it trains, if the device is a card and NVML can be had.
func (a *app) watchCard(ctx context.Context, b kernels.Backend, fsys vfs.FS) (running context.Context, end func() error) {
	nothing := func() error { return nil }
	card, ok := b.(interface{ UUID() string })
	if !ok || b.Info().Kind != "cuda" {
		return ctx, nothing
	}
	m, err := device.Open()
	if err != nil {
		a.talk.printf("! %s is not recorded: %v", deviceFile, err)
		return ctx, nothing
	}
	cards, err := m.Cards()
	c, found := device.ByUUID(cards, card.UUID())
	if !found {
		a.talk.printf("! %s is not recorded: NVML does not show card %s: %v", deviceFile, card.UUID(), err)
		m.Close()
		return ctx, nothing
	}
	running, l, err := logDevice(ctx, m, c, fsys, time.Second, a.talk.printf)
	if err != nil {
		a.talk.printf("! %s is not recorded: %v", deviceFile, err)
		m.Close()
		return ctx, nothing
	}
	return running, func() error { return errors.Join(l.close(), m.Close()) }
}

// logDevice begins a log in a run's directory, of the card with a UUID. A fault that refuses the card cancels ctx's
// child, which is returned, so that the run saves and stops.
func logDevice(ctx context.Context, m device.Monitor, card device.Card, fsys vfs.FS, every time.Duration,
	say func(format string, args ...any)) (context.Context, *deviceLog, error) {
	j, err := vfs.OpenJournal(fsys, deviceFile)
	if err != nil {
		return nil, nil, err
	}
	l := &deviceLog{monitor: m, card: card, journal: j, say: say}
	var running, watching context.Context
	running, l.sick = context.WithCancelCause(ctx)
	watching, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.sample(true)
	l.wait.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-watching.Done():
				return
			case <-tick.C:
				l.sample(false)
			}
		}
	})
	l.wait.Go(func() {
		// Without events the counters still tell, a second later.
		_ = m.Events(watching, func(e device.Event) {
			if e.Card == card.Index || e.Card < 0 {
				l.xid(e)
			}
		})
	})
	return running, l, nil
}

// sample writes one line.
func (l *deviceLog) sample(first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, h := device.Check(l.monitor, l.card.Index, l.xids)
	line := deviceLine{Time: time.Now().UTC(), Card: l.card.UUID, Sample: &s}
	if first || h.Verdict != l.last {
		line.Verdict, line.Reasons = &h.Verdict, h.Reasons
		for _, r := range h.Reasons {
			l.say("! card %d: %s", l.card.Index, r)
		}
	}
	if h.Verdict == device.Refuse && !first && l.last != device.Refuse {
		l.sick(errSickCard)
	}
	l.last = h.Verdict
	l.write(line)
}

// xid writes an Xid error and weighs it at once.
func (l *deviceLog) xid(e device.Event) {
	l.mu.Lock()
	l.xids = append(l.xids, e)
	l.write(deviceLine{Time: e.Time.UTC(), Card: l.card.UUID, Xid: e.Xid})
	l.mu.Unlock()
	l.sample(false)
}

func (l *deviceLog) write(line deviceLine) {
	b, err := json.Marshal(line)
	if err == nil {
		_, err = l.journal.Write(append(b, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}

// close ends the log.
func (l *deviceLog) close() error {
	l.stop()
	l.wait.Wait()
	return errors.Join(l.err, l.journal.Close())
}
