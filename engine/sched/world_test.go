package sched

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing/synctest"
	"time"

	"forja/engine/vfs"
)

// world is a machine with fake children, which outlive the scheduler but not a power loss. Its children behave as jobs
// do: they make checkpoints, crash, ignore being told to stop, run out of memory, end with every exit code.
type world struct {
	r                          *rand.Rand
	faults                     []string // invariants that broke
	counts                     map[string]int
	fsys                       *vfs.Mem
	devices                    []Device
	jobs                       map[string]*work // what each job has achieved; its run directory
	alive                      map[string]*fake // by marker
	launch                     map[string]int   // children ever started, by job
	ended                      map[string]Result
	nextPID                    int
	blind, boundless, optimist bool // planted mistakes

	mu sync.Mutex // guards everything: scheduler, children and the tester are goroutines
}

// work is a job's run directory and its character.
type work struct {
	job      Job
	demand   Demand
	steps    int // checkpoints until it is complete
	r        *rand.Rand
	done     int // checkpoints made
	stepTime time.Duration
	failRate float64 // of a step
	stubborn bool    // ignores being told to stop
	fate     int     // exit code it always ends with at the first step: 2, 3, 5; 0 is none
	result   int     // exit code recorded in the run directory; -1 is none
}

// fake is a child.
type fake struct {
	w      *world
	id     ProcessID
	marker string
	work   *work
	device string
	exit   chan Exit
	stop   chan struct{}
	kill   chan struct{}
	dead   chan struct{}
}

func (f *fake) ID() ProcessID     { return f.id }
func (f *fake) Done() <-chan Exit { return f.exit }
func (f *fake) Stop()             { trySend(f.stop) }
func (f *fake) Kill()             { trySend(f.kill) }

func trySend(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *world) Start(c Command) (Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.jobs[c.Argv[0]]
	if k.r.Float64() < .01 {
		return nil, errors.New("fork: resource temporarily unavailable")
	}
	for _, other := range w.alive {
		if other.work == k {
			w.faultf("job %s has two children", k.job.ID)
		}
	}
	if _, over := w.ended[k.job.ID]; over {
		w.faultf("job %s runs again after its end", k.job.ID)
	}
	w.nextPID++
	w.launch[k.job.ID]++
	f := &fake{w: w, id: ProcessID{w.nextPID, strconv.Itoa(w.nextPID)}, marker: c.Marker, work: k, device: c.Argv[1],
		exit: make(chan Exit, 1), stop: make(chan struct{}, 1), kill: make(chan struct{}, 1), dead: make(chan struct{})}
	w.alive[c.Marker] = f
	k.result = -1
	var used int64
	for _, other := range w.alive {
		if other.device == f.device {
			used += other.work.demand.Bytes
		}
	}
	for _, d := range w.devices {
		if d.Name == f.device && used > d.Bytes {
			w.faultf("device %s is over-committed: %d of %d", d.Name, used, d.Bytes)
		}
	}
	go f.run()
	return f, nil
}

func (w *world) Find(id ProcessID, marker string) (Process, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, ok := w.alive[marker]
	if !ok || w.blind && id == (ProcessID{}) {
		return nil, false
	}
	// Its exit code is lost to any but its parent.
	adopted := &fake{id: f.id, exit: make(chan Exit, 1), stop: f.stop, kill: f.kill}
	go func() {
		<-f.dead
		adopted.exit <- Exit{}
	}()
	return adopted, true
}

// run is the life of a child.
func (f *fake) run() {
	w, k := f.w, f.work
	end := func(e Exit, recorded bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.alive, f.marker)
		if recorded {
			k.result = e.Code
		}
		close(f.dead)
		f.exit <- e
	}
	code := func(c int) Exit { return Exit{Known: true, Code: c} }
	for {
		wait := time.NewTimer(k.stepTime)
		select {
		case <-f.kill:
			end(Exit{Known: true, Code: -1, Signal: "killed"}, false)
			return
		case <-f.stop:
			if k.stubborn {
				select {
				case <-f.kill:
					end(Exit{Known: true, Code: -1, Signal: "killed"}, false)
					return
				case <-wait.C:
				}
				break
			}
			time.Sleep(2 * time.Second)
			w.progress(k)
			end(code(ExitRequeue), true)
			return
		case <-wait.C:
		}
		switch {
		case k.fate != 0:
			end(code(k.fate), true)
			return
		case w.chance(k, k.failRate):
			end(code([]int{1, 4, 74, 137}[f.id.PID%4]), w.chance(k, .5))
			return
		}
		if w.progress(k) >= k.steps {
			end(code(ExitOK), true)
			return
		}
	}
}

func (w *world) chance(k *work, p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return k.r.Float64() < p
}

// losePower ends every child, and leaves of the disk what was durable and some of the rest.
func (w *world) losePower() {
	w.killAll()
	w.fsys = w.fsys.Crash(w.r, w.r.Float64())
}

// killAll ends every child and waits for it.
func (w *world) killAll() {
	w.mu.Lock()
	for _, marker := range slices.Sorted(maps.Keys(w.alive)) {
		w.alive[marker].Kill()
	}
	w.mu.Unlock()
	synctest.Wait()
}

func (w *world) progress(k *work) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.done++
	return k.done
}

func newWorld(seed uint64) *world {
	w := &world{counts: map[string]int{}, r: rand.New(rand.NewPCG(seed, 7)), fsys: vfs.NewMem(), jobs: map[string]*work{},
		alive: map[string]*fake{}, launch: map[string]int{}, ended: map[string]Result{}}
	for i := range 1 + w.r.IntN(3) {
		w.devices = append(w.devices, Device{Name: fmt.Sprintf("cuda:%d", i), Bytes: 80, MaxJobs: w.r.IntN(3)})
	}
	w.devices = append(w.devices, Device{Name: "cpu", Bytes: 200, MaxJobs: 1})
	return w
}

func (w *world) config() Config {
	devices := slices.Clone(w.devices)
	if w.boundless {
		for i := range devices {
			devices[i].Bytes *= 2
		}
	}
	return Config{FS: w.fsys, Launcher: w, Devices: devices, Poll: 10 * time.Minute,
		Command: func(j Job) (Command, error) { return Command{Argv: []string{j.ID, j.Device}}, nil },
		Plan: func(ctx context.Context, j Job) (Demand, error) {
			time.Sleep(time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			k := w.jobs[j.ID]
			switch {
			case k.fate == ExitRecipe:
				return Demand{}, codedError(ExitRecipe)
			case k.r.Float64() < .02:
				return Demand{}, errors.New("plan: killed")
			}
			return k.demand, nil
		},
		Progress: func(j Job) string { w.mu.Lock(); defer w.mu.Unlock(); return strconv.Itoa(w.jobs[j.ID].done) },
		Outcome: func(j Job) (int, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			k := w.jobs[j.ID]
			if w.optimist {
				return 0, true
			}
			return k.result, k.result >= 0
		},
		Events: Events{
			Finished: w.finished,
			Adopted:  func(Job) { w.counts["adopted"]++ },
			Killed:   func(Job) { w.counts["killed"]++ },
			Stopping: func(j Job) { w.counts["stopped"]++ },
			Requeued: func(j Job, why string) { w.counts["requeued"]++ },
		},
	}
}

// faultf notes a broken invariant; w.mu is held.
func (w *world) faultf(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// finished notes an end; a job may be reported again, but never with another end.
func (w *world) finished(j Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, again := w.ended[j.ID]; again && (was.Outcome != j.Result.Outcome || !was.At.Equal(j.Result.At)) {
		w.faultf("job %s ended twice: %v, then %v", j.ID, was, *j.Result)
	}
	w.ended[j.ID] = *j.Result
}

func (w *world) over() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ended)
}

type codedError int

func (c codedError) Error() string { return "recipe error" }
func (c codedError) ExitCode() int { return int(c) }

// addJob invents a job and submits it.
func (w *world) addJob(q *Queue, i int) error {
	k := &work{r: rand.New(rand.NewPCG(w.r.Uint64(), 1)), steps: 1 + w.r.IntN(20), stepTime: time.Duration(1+w.r.IntN(300)) * time.Minute, result: -1}
	k.demand = Demand{Device: []string{"cuda", "cuda", "cpu", ""}[w.r.IntN(4)], Bytes: int64(1 + w.r.IntN(80))}
	k.stubborn = w.r.Float64() < .05
	switch x := w.r.Float64(); {
	case x < .1:
		k.failRate = .05
	case x < .15:
		k.failRate = 1
	case x < .2:
		k.fate = []int{ExitRecipe, ExitCheck, ExitDiverged}[w.r.IntN(3)]
	case x < .22:
		k.demand.Bytes = 1000
	}
	k.job = Job{ID: fmt.Sprintf("job-%04d", i), Priority: w.r.IntN(101), Restarts: 3, StopDuration: time.Minute}
	if w.r.Float64() < .05 {
		k.job.MaxDuration = 10 * time.Hour
	}
	w.mu.Lock()
	w.jobs[k.job.ID] = k
	w.mu.Unlock()
	_, err := q.Submit(k.job)
	return err
}

// expect says how a job must end, "" if several ends are right.
func (k *work) expect(cancelled bool) Outcome {
	switch {
	case cancelled || k.job.MaxDuration > 0:
		return ""
	case k.fate != 0, k.failRate == 1, k.demand.Bytes > 200, k.demand.Bytes > 80 && k.demand.Device != "cpu" && k.demand.Device != "":
		return Failed
	case k.failRate == 0:
		return Succeeded
	}
	return ""
}
