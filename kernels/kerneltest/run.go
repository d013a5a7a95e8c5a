package kerneltest

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"

	"forja/kernels"
)

// A scope says when a case runs.
type scope int

const (
	small  scope = iota // always: one case for each configuration, at sizes that a simulator can afford
	normal              // in Run
	long                // in Run if FORJA_LONG=1
)

// A scenario is a case: a trial to build, or a check of a backend as a whole.
type scenario struct {
	op, name string
	scope    scope
	build    func(*trial)
	check    func(kernels.Backend) error
	closes   bool // the check closes its backend
}

// A list collects scenarios of operations.
type list []scenario

func (l *list) add(op string, s scope, name string, build func(*trial)) {
	*l = append(*l, scenario{op: op, name: name, scope: s, build: build})
}

// scenarios are all cases, operation by operation.
func scenarios() (l list) {
	for _, family := range []func(*list){
		memoryCases, copyCases, elementwiseCases, softmaxCases, dropoutCases, ropeCases, linearCases, linearGradCases, quantCases,
		embedCases, normCases, normGradCases, attentionCases, headCases, optimizerCases, muonCases, decodeCases, sampleCases,
	} {
		family(&l)
	}
	order := map[string]int{}
	for _, s := range l {
		if _, ok := order[s.op]; !ok {
			order[s.op] = len(order)
		}
	}
	slices.SortStableFunc(l, func(a, b scenario) int { return order[a.op] - order[b.op] })
	return l
}

// trial builds the trial of a scenario; it is the same every time.
func (s scenario) trial() *trial {
	h := fnv.New64a()
	h.Write([]byte(s.op + "/" + s.name))
	tr := &trial{rng: rand.New(rand.NewPCG(h.Sum64(), 1))}
	s.build(tr)
	return tr
}

// run runs a scenario on a backend and returns what is wrong.
func (s scenario) run(b kernels.Backend) error {
	if s.check != nil {
		return s.check(b)
	}
	tr := s.trial()
	if err := tr.run(b); err != nil {
		return err
	}
	return tr.verify()
}

// Run holds a backend to all cases, in a sub-test for each operation. FORJA_LONG=1 adds larger ones.
func Run(t *testing.T, open func() (kernels.Backend, error)) {
	most := normal
	if os.Getenv("FORJA_LONG") == "1" {
		most = long
	}
	run(t, open, most)
}

// RunNormal is Run without the cases that FORJA_LONG adds, for a simulator that cannot afford them.
func RunNormal(t *testing.T, open func() (kernels.Backend, error)) { run(t, open, normal) }

// RunSmall holds a backend to one small case for each configuration of each operation.
func RunSmall(t *testing.T, open func() (kernels.Backend, error)) { run(t, open, small) }

func run(t *testing.T, open func() (kernels.Backend, error), most scope) {
	d, err := kernels.OpenDevice(open)
	if err != nil {
		t.Fatal(err)
	}
	byOperation(scenarios(), most, func(op string, l list) {
		t.Run(op, func(t *testing.T) {
			for _, s := range l {
				var err error
				if d == nil {
					t.Fatal("the device was lost in another test")
				}
				if s.closes {
					err = alone(open, s.run)
				} else {
					err = d.Do(t.Context(), s.run)
				}
				if err == nil {
					continue
				}
				t.Errorf("%s: %v", s.name, err)
				_ = d.Close() // a failure may have cost it its device: the next case gets another
				if d, err = kernels.OpenDevice(open); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	if d == nil {
		return
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// alone calls f with a backend of its own, on a thread of its own.
func alone(open func() (kernels.Backend, error), f func(kernels.Backend) error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		b, err := open()
		if err == nil {
			err = f(b)
		}
		result <- err
	}()
	return <-result
}

// byOperation calls f for each operation with its scenarios.
func byOperation(l list, most scope, f func(op string, l list)) {
	for len(l) > 0 {
		op, n := l[0].op, 0
		var chosen list
		for ; n < len(l) && l[n].op == op; n++ {
			if l[n].scope <= most {
				chosen = append(chosen, l[n])
			}
		}
		f(op, chosen)
		l = l[n:]
	}
}

// Deterministic checks that operations give the same bytes twice in a row, and on a backend with another number of
// threads. Backends that have no threads may ignore the argument of open.
func Deterministic(t *testing.T, open func(threads int) (kernels.Backend, error)) {
	deterministic(t, open, normal)
}

// DeterministicSmall is Deterministic with the cases of RunSmall.
func DeterministicSmall(t *testing.T, open func(threads int) (kernels.Backend, error)) {
	deterministic(t, open, small)
}

func deterministic(t *testing.T, open func(threads int) (kernels.Backend, error), most scope) {
	var devices []*kernels.Device
	for _, threads := range []int{1, 2, 3, 5} {
		d, err := kernels.OpenDevice(func() (kernels.Backend, error) { return open(threads) })
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, d)
		defer func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	devices = slices.Insert(devices, 0, devices[0]) // twice in a row
	byOperation(scenarios(), most, func(op string, l list) {
		t.Run(op, func(t *testing.T) {
			for _, s := range l {
				if s.check == nil {
					if err := s.repeat(t, devices); err != nil {
						t.Errorf("%s: %v", s.name, err)
					}
				}
			}
		})
	})
}

// repeat runs a trial on every device.
func (s scenario) repeat(t *testing.T, devices []*kernels.Device) error {
	tr := s.trial()
	var first []byte
	for i, d := range devices {
		err := d.Do(t.Context(), func(b kernels.Backend) error {
			if err := tr.run(b); err != nil {
				return err
			}
			again := tr.result()
			if i == 0 {
				first = again
			}
			if !bytes.Equal(first, again) {
				return fmt.Errorf("with %d threads byte %d of all results differs", b.Info().Threads, firstDifference(first, again))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
