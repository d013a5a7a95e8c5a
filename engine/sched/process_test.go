//go:build unix

package sched

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

// This binary is also the child: it "trains" for so many ticks of 10 ms, noting each in a file, which is its checkpoint.
func TestMain(m *testing.M) {
	if mode := os.Getenv("FORJA_TEST_CHILD"); mode != "" {
		os.Exit(child(mode))
	}
	os.Exit(m.Run())
}

func child(mode string) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("child begins")
	file := os.Getenv("FORJA_TEST_FILE")
	ticks, _ := strconv.Atoi(os.Getenv("FORJA_TEST_TICKS"))
	for done := ticksIn(file); done < ticks; done++ {
		select {
		case <-stop:
			if mode != "stubborn" {
				return ExitRequeue
			}
		case <-time.After(10 * time.Millisecond):
		}
		if os.WriteFile(file+".tmp", []byte(strconv.Itoa(done+1)), 0o666) != nil || os.Rename(file+".tmp", file) != nil {
			return 74
		}
	}
	if mode == "fail" {
		return 1
	}
	if os.WriteFile(file+".exit", []byte("0"), 0o666) != nil {
		return 74
	}
	return 0
}

func ticksIn(file string) int {
	b, _ := os.ReadFile(file)
	n, _ := strconv.Atoi(string(b))
	return n
}

func childCommand(mode, file string, ticks int) Command {
	return Command{Argv: []string{os.Args[0], "-test.run=^$"}, Env: []string{"FORJA_TEST_CHILD=" + mode, "FORJA_TEST_FILE=" + file,
		"FORJA_TEST_TICKS=" + strconv.Itoa(ticks)}}
}

func awaitExit(t *testing.T, p Process) Exit {
	t.Helper()
	select {
	case e := <-p.Done():
		return e
	case <-time.After(20 * time.Second):
		p.Kill()
		t.Fatal("the child does not end")
		return Exit{}
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for: " + what)
		}
	}
}

func TestChildStopsSavesAndLogs(t *testing.T) {
	dir := t.TempDir()
	c := childCommand("train", filepath.Join(dir, "ticks"), 1000)
	c.Log, c.Marker = filepath.Join(dir, "logs", "a.log"), "a.1"
	p, err := OS{}.Start(c)
	require.NoError(t, err)
	await(t, "progress", func() bool { return ticksIn(filepath.Join(dir, "ticks")) > 2 })
	p.Stop()
	e := awaitExit(t, p)
	assert.Equal(t, Exit{Known: true, Code: ExitRequeue}, e)
	assert.Equal(t, "exit code 75 (stopped after saving)", e.String())
	b, err := os.ReadFile(c.Log)
	require.NoError(t, err)
	assert.Equal(t, "child begins\n", string(b))
	_, alive := OS{}.Find(p.ID(), c.Marker)
	assert.False(t, alive, "it has ended")
	p.Stop() // and its number may belong to somebody else: nothing happens
	p.Kill()
}

func TestChildIsFoundByNumberAndByMarker(t *testing.T) {
	dir := t.TempDir()
	c := childCommand("stubborn", filepath.Join(dir, "ticks"), 10000)
	c.Marker = "found." + filepath.Base(dir) + strconv.Itoa(os.Getpid())
	p, err := OS{}.Start(c)
	require.NoError(t, err)
	await(t, "progress", func() bool { return ticksIn(filepath.Join(dir, "ticks")) > 0 })
	watcher := OS{Watch: 10 * time.Millisecond}
	again, ok := watcher.Find(p.ID(), "another marker")
	require.True(t, ok, "by number")
	assert.Equal(t, p.ID(), again.ID())
	if byMarker, ok := watcher.Find(ProcessID{}, c.Marker); findMarker("x") == 0 && ok {
		assert.Equal(t, p.ID(), byMarker.ID())
	} else if _, err := os.Stat("/proc/self/environ"); err == nil {
		t.Error("not found by marker")
	}
	_, ok = watcher.Find(ProcessID{PID: p.ID().PID, Start: "1@boot"}, "another marker")
	assert.False(t, ok, "the number of a process that started at another time")
	again.Stop() // it is stubborn
	again.Kill()
	assert.Equal(t, -1, awaitExit(t, p).Code)
	assert.Equal(t, Exit{}, awaitExit(t, again), "the code is its parent's to know")
}

func TestMissingProgramIsAnError(t *testing.T) {
	_, err := OS{}.Start(Command{Argv: []string{"/no/such/program"}})
	assert.Error(t, err)
	_, err = OS{}.Start(Command{})
	assert.Error(t, err)
}

// realConfig runs this binary's child for each job; a job's file is in dir, and Args says how many ticks it takes.
func realConfig(t *testing.T, fsys vfs.FS, dir string) Config {
	file := func(j Job) string { return filepath.Join(dir, j.ID) }
	return Config{FS: fsys, Launcher: OS{Watch: 10 * time.Millisecond}, Devices: []Device{{Name: "cpu", Bytes: 100}},
		Poll: 20 * time.Millisecond, Backoff: time.Millisecond,
		Command: func(j Job) (Command, error) {
			ticks, err := strconv.Atoi(j.Args[1])
			return childCommand(j.Args[0], file(j), ticks), err
		},
		Plan:     func(context.Context, Job) (Demand, error) { return Demand{"cpu", 60}, nil },
		Progress: func(j Job) string { return strconv.Itoa(ticksIn(file(j))) },
		Outcome: func(j Job) (int, bool) {
			_, err := os.Stat(file(j) + ".exit")
			return 0, err == nil
		},
	}
}

func runScheduler(t *testing.T, cfg Config) (stop func()) {
	s, err := New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- s.Run(ctx) }()
	return func() {
		cancel()
		assert.NoError(t, <-gone)
	}
}

func openReal(t *testing.T) (*vfs.Disk, *Queue) {
	fsys, err := vfs.MakeOS(filepath.Join(t.TempDir(), "queue"))
	require.NoError(t, err)
	t.Cleanup(func() { fsys.Close() })
	q, err := OpenQueue(fsys)
	require.NoError(t, err)
	return fsys, q
}

func stateOf(q *Queue, id string) State {
	j, _ := q.Find(id)
	return j.State
}

func TestRealJobsArePreemptedAndFinish(t *testing.T) {
	fsys, q := openReal(t)
	dir := t.TempDir()
	defer runScheduler(t, realConfig(t, fsys, dir))()
	low, err := q.Submit(Job{ID: "low", Priority: 10, Args: []string{"train", "60"}, StopDuration: 10 * time.Second})
	require.NoError(t, err)
	await(t, "the low job's progress", func() bool { return ticksIn(filepath.Join(dir, "low")) > 3 })
	_, err = q.Submit(Job{ID: "high", Priority: 90, Args: []string{"train", "5"}})
	require.NoError(t, err)
	_, err = q.Submit(Job{ID: "bad", Priority: 5, Args: []string{"fail", "0"}, Restarts: 1})
	require.NoError(t, err)
	for _, id := range []string{"high", "low", "bad"} {
		await(t, id, func() bool { return stateOf(q, id) == Done })
	}
	low, _ = q.Find("low")
	high, _ := q.Find("high")
	bad, _ := q.Find("bad")
	assert.Equal(t, Succeeded, low.Result.Outcome, low.Result.Reason)
	assert.GreaterOrEqual(t, low.Attempt, 2, "it was preempted once")
	assert.Equal(t, 60, ticksIn(filepath.Join(dir, "low")))
	assert.Zero(t, low.Failures, "being preempted is no failure")
	assert.True(t, high.Result.At.Before(low.Result.At))
	assert.Equal(t, Failed, bad.Result.Outcome)
	assert.Equal(t, 2, bad.Attempt, "one restart was allowed")
	assert.Contains(t, bad.Result.Reason, "2 times in a row without a new checkpoint")
}

func TestChildSurvivesItsSchedulerAndIsAdopted(t *testing.T) {
	fsys, q := openReal(t)
	dir := t.TempDir()
	cfg := realConfig(t, fsys, dir)
	stop := runScheduler(t, cfg)
	_, err := q.Submit(Job{ID: "a", Args: []string{"train", "80"}})
	require.NoError(t, err)
	await(t, "progress", func() bool { return ticksIn(filepath.Join(dir, "a")) > 3 })
	second, err := New(cfg)
	require.NoError(t, err)
	assert.ErrorIs(t, second.Run(t.Context()), vfs.ErrLocked, "one scheduler at a time")
	stop()
	adopted := make(chan struct{}, 1)
	cfg.Events.Adopted = func(Job) { adopted <- struct{}{} }
	defer runScheduler(t, cfg)()
	<-adopted
	await(t, "the end", func() bool { return stateOf(q, "a") == Done })
	j, _ := q.Find("a")
	assert.Equal(t, Succeeded, j.Result.Outcome, j.Result.Reason)
	assert.Equal(t, 1, j.Attempt)
}

func TestCancelStopsARealJob(t *testing.T) {
	fsys, q := openReal(t)
	dir := t.TempDir()
	defer runScheduler(t, realConfig(t, fsys, dir))()
	for _, mode := range []string{"train", "stubborn"} {
		j, err := q.Submit(Job{ID: mode, Args: []string{mode, "10000"}, StopDuration: 100 * time.Millisecond})
		require.NoError(t, err)
		await(t, "progress", func() bool { return ticksIn(filepath.Join(dir, mode)) > 1 })
		require.NoError(t, q.Cancel(j.ID))
		await(t, "the end", func() bool { return stateOf(q, mode) == Done })
		j, _ = q.Find(mode)
		assert.Equal(t, Cancelled, j.Result.Outcome)
	}
}

func TestCancelWorksWithoutAScheduler(t *testing.T) {
	fsys, q := openReal(t)
	dir := t.TempDir()
	cfg := realConfig(t, fsys, dir)
	stop := runScheduler(t, cfg)
	_, err := q.Submit(Job{ID: "a", Args: []string{"train", "10000"}})
	require.NoError(t, err)
	await(t, "progress", func() bool { return ticksIn(filepath.Join(dir, "a")) > 1 })
	tidy := func() error {
		s, err := New(cfg)
		require.NoError(t, err)
		return s.Tidy()
	}
	assert.ErrorIs(t, tidy(), vfs.ErrLocked)
	stop()
	_, err = q.Submit(Job{ID: "b", Args: []string{"train", "1"}})
	require.NoError(t, err)
	require.NoError(t, q.Cancel("a"))
	require.NoError(t, q.Cancel("b"))
	require.NoError(t, tidy(), "stops a, ends b")
	for _, id := range []string{"b", "a"} {
		await(t, id, func() bool {
			require.NoError(t, tidy())
			return stateOf(q, id) == Done
		})
		j, _ := q.Find(id)
		assert.Equal(t, Cancelled, j.Result.Outcome, id)
	}
	assert.Zero(t, ticksIn(filepath.Join(dir, "b")))
}

func TestRealPipelineStopsAndResumes(t *testing.T) {
	fsys, err := vfs.MakeOS(filepath.Join(t.TempDir(), "run"))
	require.NoError(t, err)
	defer fsys.Close()
	resumed := map[string]bool{}
	p := &Pipeline{FS: fsys, Launcher: OS{}, Code: "1",
		Stages: []Stage{{Name: "a", Text: []byte("x")}, {Name: "b", Needs: []string{"a"}, Text: []byte("y")}},
		Command: func(s Stage, resume bool) (Command, error) {
			resumed[s.Name] = resume
			if err := os.MkdirAll(fsys.Path(s.Name), 0o777); err != nil {
				return Command{}, err
			}
			return childCommand("train", filepath.Join(fsys.Path(s.Name), "ticks"), 30), nil
		}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		await(t, "stage b", func() bool { return ticksIn(filepath.Join(fsys.Path("b"), "ticks")) > 2 })
		cancel()
	}()
	err = p.Run(ctx)
	var stage *StageError
	require.True(t, errors.As(err, &stage), "%v", err)
	assert.Equal(t, ExitRequeue, stage.ExitCode())
	assert.Equal(t, "b", stage.Stage)
	require.NoError(t, p.Run(t.Context()))
	assert.True(t, resumed["b"])
	records, err := p.Records()
	require.NoError(t, err)
	require.Len(t, records, 2)
	assert.Equal(t, []int{1, 2}, []int{records[0].Attempts, records[1].Attempts})
	assert.Greater(t, records[1].Seconds, .2, "both attempts")
	var log strings.Builder
	require.NoError(t, Follow(t.Context(), fsys, "stages/b.log", 0, &log, func() bool { return true }))
	assert.Equal(t, "child begins\nchild begins\n", log.String())
}
