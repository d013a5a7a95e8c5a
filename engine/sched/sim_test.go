package sched

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
	"forja/engine/vfs/vfstest"
)

// simulation is a world, a queue, and schedulers that come and go.
type simulation struct {
	*world
	queue     *Queue
	plant     func(vfs.FS) vfs.FS // a durability mistake
	jobs      int                 // to submit
	submitted int
	cancelled map[string]bool
	crash     bool // schedulers and the machine die
}

var errCrash = errors.New("the scheduler's process dies")

// simulate runs jobs in a bubble of fake time and returns the days that passed, stopping at the first fault.
func (s *simulation) run(ctx context.Context) (days float64, err error) {
	start := time.Now()
	if s.queue, err = OpenQueue(s.plant(s.fsys)); err != nil {
		return 0, err
	}
	s.cancelled = map[string]bool{}
	for s.unfinished() {
		if time.Since(start) > 2000*24*time.Hour {
			return 0, fmt.Errorf("%d of %d jobs ended after 2000 days", s.over(), s.jobs)
		}
		if err := s.life(ctx); err != nil {
			return 0, err
		}
		time.Sleep(time.Duration(s.r.IntN(3600)) * time.Second) // nobody schedules
		if s.crash && s.r.Float64() < .3 {
			s.counts["power losses"]++
			s.losePower()
			if s.queue, err = OpenQueue(s.plant(s.fsys)); err != nil {
				return 0, err
			}
		}
		if err := s.checkQueue(); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Hours() / 24, s.checkEnds()
}

func (s *simulation) unfinished() bool { return s.submitted < s.jobs || s.over() < s.jobs }

// life is one scheduler's: until its time is over, or the n-th operation on the disk kills its process in the middle.
func (s *simulation) life(parent context.Context) error {
	cfg := s.config()
	cfg.FS = s.plant(s.fsys)
	scheduler, err := New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	gone := make(chan error, 1)
	var life <-chan time.Time
	if s.crash {
		life = time.After(time.Duration(1+s.r.IntN(10)) * 24 * time.Hour)
		s.fsys.Hook = dieAt(1 + s.r.IntN(400))
	}
	go func() { gone <- scheduler.Run(ctx) }()
	for s.unfinished() {
		select {
		case err := <-gone:
			s.fsys.Hook = nil
			s.counts["crashes"]++
			if !errors.Is(err, errCrash) {
				return fmt.Errorf("scheduler ended: %w", err)
			}
			return nil
		case <-life:
			cancel()
			<-gone
			s.fsys.Hook = nil
			return nil
		case <-time.After(time.Duration(s.r.ExpFloat64() * float64(10*time.Hour))):
			synctest.Wait() // nobody else is in the file system now
			hook := s.fsys.Hook
			s.fsys.Hook = nil // submitters are other processes: they do not die with the scheduler
			err := s.users()
			s.fsys.Hook = hook
			if err != nil {
				return err
			}
			scheduler.Kick()
		}
	}
	cancel()
	<-gone
	s.fsys.Hook = nil
	return nil
}

// users submit and cancel.
func (s *simulation) users() error {
	if s.submitted < s.jobs {
		if err := s.addJob(s.queue, s.submitted); err != nil {
			return err
		}
		s.submitted++
	}
	if s.r.Float64() < .03 {
		id := fmt.Sprintf("job-%04d", s.r.IntN(s.submitted))
		s.cancelled[id] = true
		return s.queue.Cancel(id)
	}
	return nil
}

// dieAt is a hook that fails the n-th operation that changes the disk, and everything after it.
func dieAt(n int) func(vfs.Op, string) error {
	var mu sync.Mutex
	return func(op vfs.Op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Writes() {
			n--
		}
		if n <= 0 {
			return errCrash
		}
		return nil
	}
}

// checkQueue checks that every job that was submitted is in exactly one place, and that what ended stays ended.
func (s *simulation) checkQueue() error {
	states := map[string]State{}
	for _, state := range []State{Inbox, Pending, Running, Done} {
		list, problems := s.queue.list(state)
		if len(problems) > 0 {
			return problems[0]
		}
		for _, j := range list {
			if was, twice := states[j.ID]; twice {
				return fmt.Errorf("job %s is in %s and in %s", j.ID, was, state)
			}
			states[j.ID] = state
			if state == Done { // a scheduler may die between moving a job and telling of it
				s.finished(j)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(states) != s.submitted {
		return fmt.Errorf("%d jobs were submitted, %d are there", s.submitted, len(states))
	}
	for _, id := range slices.Sorted(maps.Keys(s.ended)) {
		if states[id] != Done {
			return fmt.Errorf("job %s had ended and is %s again", id, states[id])
		}
	}
	if len(s.faults) > 0 {
		return errors.New(s.faults[0])
	}
	return nil
}

// checkEnds checks that every job ended as its character demands.
func (s *simulation) checkEnds() error {
	list, _ := s.queue.list(Done)
	for _, j := range list {
		k := s.world.jobs[j.ID]
		want := k.expect(s.cancelled[j.ID])
		switch {
		case want != "" && j.Result.Outcome != want:
			return fmt.Errorf("%s ended as %s (%s), want %s", j.ID, j.Result.Outcome, j.Result.Reason, want)
		case j.Result.Outcome == Succeeded && k.done < k.steps:
			return fmt.Errorf("%s is called done with %d of %d steps", j.ID, k.done, k.steps)
		case j.Result.Outcome == Cancelled && !s.cancelled[j.ID]:
			return fmt.Errorf("%s was cancelled by nobody", j.ID)
		case k.fate == ExitRecipe && s.launch[j.ID] > 0:
			return fmt.Errorf("%s started in spite of its recipe error", j.ID)
		}
	}
	return nil
}

func sound(fsys vfs.FS) vfs.FS { return fsys }

// FORJA_SIMULATIONS sets the number of worlds; each is a month of a machine's life.
func simulations(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("FORJA_SIMULATIONS")); err == nil {
		return n
	}
	if testing.Short() {
		return usual / 10
	}
	return usual
}

func TestEveryJobEndsOnceInSimulatedYearsOfCrashes(t *testing.T) {
	total, counts := 0.0, map[string]int{}
	for seed := range uint64(simulations(70)) {
		synctest.Test(t, func(t *testing.T) {
			s := &simulation{world: newWorld(seed), plant: sound, jobs: 60, crash: seed%4 != 0}
			days, err := s.run(t.Context())
			require.NoError(t, err, "seed %d", seed)
			total += days
			for k, n := range s.counts {
				counts[k] += n
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%.0f simulated days: %v", total, counts)
	for _, k := range []string{"crashes", "power losses", "adopted", "killed", "stopped", "requeued"} {
		require.NotZero(t, counts[k], "the simulation never had any: %s", k)
	}
}

// A simulation that passes with a planted mistake would pass with a real one.
func TestSimulationFindsPlantedMistakes(t *testing.T) {
	noDirSync := func(fsys vfs.FS) vfs.FS {
		return &vfstest.Override{FS: fsys, SyncDirFunc: func(vfs.FS, string) error { return nil }}
	}
	noFileSync := func(fsys vfs.FS) vfs.FS {
		return &vfstest.Override{FS: fsys, SyncFunc: func(vfs.File) error { return nil }}
	}
	copied := func(fsys vfs.FS) vfs.FS { // instead of renamed
		return &vfstest.Override{FS: fsys, RenameFunc: func(fsys vfs.FS, old, new string) error {
			b, err := vfs.ReadFile(fsys, old, maxJobFile)
			if err != nil {
				return err
			}
			f, err := fsys.Create(new)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := f.Write(b); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
			return fsys.Remove(old)
		}}
	}
	cases := []struct {
		name   string
		plant  func(vfs.FS) vfs.FS
		change func(*world)
	}{
		{"directories are not synced", noDirSync, nil},
		{"files are not synced", noFileSync, nil},
		{"files are copied, not renamed", copied, nil},
		{"children are found by number only", sound, func(w *world) { w.blind = true }},
		{"memory is not counted", sound, func(w *world) { w.boundless = true }},
		{"unseen ends count as success", sound, func(w *world) { w.optimist = true }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(40) {
				var err error
				synctest.Test(t, func(t *testing.T) {
					s := &simulation{world: newWorld(seed), plant: c.plant, jobs: 40, crash: true}
					if c.change != nil {
						c.change(s.world)
					}
					_, err = s.run(t.Context())
					s.killAll() // the bubble ends when its goroutines do
				})
				if err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("40 simulations did not notice")
		})
	}
}

// The machine loses power at every single operation of a small run, and everything still ends once and well.
func TestPowerLossAtEveryOperation(t *testing.T) {
	points := 0
	for _, keep := range []float64{0, .5, 1} {
		for n, more := 1, true; more; n++ {
			synctest.Test(t, func(t *testing.T) {
				s := &simulation{world: newWorld(5), plant: sound, jobs: 4}
				var err error
				s.queue, err = OpenQueue(s.fsys)
				require.NoError(t, err)
				s.cancelled = map[string]bool{}
				for s.submitted < s.jobs {
					require.NoError(t, s.addJob(s.queue, s.submitted))
					s.submitted++
				}
				s.fsys.Hook = dieAt(n)
				scheduler, err := New(s.config())
				if err == nil {
					ctx, cancel := context.WithTimeout(t.Context(), 60*24*time.Hour)
					err = scheduler.Run(ctx)
					cancel()
				}
				more = err != nil
				points++
				s.fsys.Hook = nil
				s.r = rand.New(rand.NewPCG(uint64(n), 3))
				before := maps.Clone(s.ended)
				s.killAll()
				s.fsys = s.fsys.Crash(s.r, keep)
				s.queue, err = OpenQueue(s.fsys)
				require.NoError(t, err)
				require.NoError(t, s.checkQueue(), "operation %d, keep %v", n, keep)
				for id, r := range before {
					require.Equal(t, r.Outcome, s.ended[id].Outcome)
				}
				_, err = s.run(t.Context())
				require.NoError(t, err, "operation %d, keep %v", n, keep)
			})
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d crash points", points)
	require.Greater(t, points, 300)
}
