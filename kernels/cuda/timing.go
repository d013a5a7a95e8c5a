package cuda

import (
	"cmp"
	"errors"
	"slices"

	"forja/kernels/cuda/driver"
)

// A KernelTime is what the launches of a kernel took together.
type KernelTime struct {
	Kernel   string
	Launches int
	Seconds  float64
}

// timing measures kernels with a pair of events around every launch.
type timing struct {
	pairs [][2]*driver.Event
	ids   []kernelID // of the pairs in use
	total map[kernelID]KernelTime
}

// Time turns the measurement of kernels on, with nothing measured yet, or off. It costs the device some microseconds
// for each launch. No graph is recorded while kernels are timed; one that was recorded before is replayed unmeasured.
func (b *Backend) Time(on bool) error {
	if b.graphs.recording {
		return errRecording
	}
	err := b.timing.close()
	b.timing = nil
	if on {
		b.timing = &timing{total: map[kernelID]KernelTime{}}
	}
	return err
}

// KernelTimes waits for the stream and returns the kernels since Time, the longest first.
func (b *Backend) KernelTimes() ([]KernelTime, error) {
	t := b.timing
	if t == nil {
		return nil, errors.New("kernels are not timed: call Time first")
	}
	if err := t.collect(&b.launcher); err != nil {
		return nil, err
	}
	var list []KernelTime
	for k := range b.table {
		if kt, ok := t.total[kernelID(k)]; ok {
			list = append(list, kt)
		}
	}
	slices.SortStableFunc(list, func(a, b KernelTime) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return list, nil
}

// before and after record the events of a launch.
func (t *timing) before(l *launcher, k kernelID) {
	const most = 1024
	if len(t.ids) == most {
		if err := t.collect(l); err != nil {
			l.fail(err)
			return
		}
	}
	if len(t.ids) == len(t.pairs) {
		var p [2]*driver.Event
		for i := range p {
			e, err := l.ctx.NewEvent(true)
			if err != nil {
				l.fail(err)
				return
			}
			p[i] = e
		}
		t.pairs = append(t.pairs, p)
	}
	if err := t.pairs[len(t.ids)][0].Record(l.stream); err != nil {
		l.fail(err)
		return
	}
	t.ids = append(t.ids, k)
}

func (t *timing) after(l *launcher) {
	if n := len(t.ids); n > 0 {
		if err := t.pairs[n-1][1].Record(l.stream); err != nil {
			l.fail(err)
		}
	}
}

// collect waits for the stream and adds up the pairs in use.
func (t *timing) collect(l *launcher) error {
	if err := l.stream.Synchronize(); err != nil {
		return err
	}
	for i, k := range t.ids {
		s, err := t.pairs[i][0].Elapsed(t.pairs[i][1])
		if err != nil {
			return err
		}
		kt := t.total[k]
		t.total[k] = KernelTime{l.table[k].entry, kt.Launches + 1, kt.Seconds + s}
	}
	t.ids = t.ids[:0]
	return nil
}

func (t *timing) close() error {
	if t == nil {
		return nil
	}
	var errs []error
	for _, p := range t.pairs {
		for _, e := range p {
			if e != nil {
				errs = append(errs, e.Close())
			}
		}
	}
	return firstOf(errs)
}
