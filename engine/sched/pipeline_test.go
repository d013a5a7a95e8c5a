package sched

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

// stageWorld runs stages as functions: each makes a file in its directory, in two steps of a minute with a checkpoint between.
type stageWorld struct {
	fsys  *vfs.Mem
	trace []string
	exit  map[string]Exit // instead of success
	child map[string]*stageChild
}

type stageChild struct {
	done chan Exit
	stop chan struct{}
}

func (c *stageChild) ID() ProcessID     { return ProcessID{1, "1"} }
func (c *stageChild) Done() <-chan Exit { return c.done }
func (c *stageChild) Stop()             { trySend(c.stop) }
func (c *stageChild) Kill()             { trySend(c.stop) }

func (w *stageWorld) Find(_ ProcessID, marker string) (Process, bool) {
	c, ok := w.child[marker]
	return c, ok
}

func (w *stageWorld) Start(c Command) (Process, error) {
	child := &stageChild{make(chan Exit, 1), make(chan struct{}, 1)}
	name := c.Argv[0]
	go func() {
		exit := func() Exit {
			if e, ok := w.exit[name]; ok {
				return e
			}
			if err := vfs.MkdirAll(w.fsys, name); err != nil {
				return Exit{Known: true, Code: 74}
			}
			for step := range 2 {
				file := path.Join(name, fmt.Sprint("step", step))
				if _, err := w.fsys.Stat(file); err == nil {
					continue
				}
				select {
				case <-child.stop:
					return Exit{Known: true, Code: ExitRequeue}
				case <-time.After(time.Minute):
				}
				if vfs.WriteFile(w.fsys, file, []byte(c.Argv[1])) != nil {
					return Exit{Known: true, Code: 74}
				}
			}
			return Exit{Known: true}
		}()
		child.done <- exit
	}()
	return child, nil
}

func newStageWorld() *stageWorld {
	return &stageWorld{fsys: vfs.NewMem(), exit: map[string]Exit{}, child: map[string]*stageChild{}}
}

// pipeline is corpus > tokenizer > pretrain > sft, with pretrain also reading the corpus.
func (w *stageWorld) pipeline() *Pipeline {
	w.trace = nil
	note := func(what string) func(StageRecord) {
		return func(r StageRecord) { w.trace = append(w.trace, what+" "+r.Name) }
	}
	return &Pipeline{FS: w.fsys, Launcher: w, Code: "v1",
		Stages: []Stage{
			{"sft", []string{"pretrain"}, []byte("sft text")},
			{"corpus", nil, []byte("corpus text")},
			{"tokenizer", []string{"corpus"}, []byte("tokenizer text")},
			{"pretrain", []string{"tokenizer", "corpus"}, []byte("pretrain text")},
		},
		Command: func(s Stage, resume bool) (Command, error) {
			if resume {
				w.trace = append(w.trace, "resume "+s.Name)
			}
			return Command{Argv: []string{s.Name, string(s.Text)}}, nil
		},
		Events: PipelineEvents{Skipped: note("skip"), Finished: note("finish"), Outdated: note("outdated"), Stopping: note("stop"),
			Started: func(r StageRecord, log string) { w.trace = append(w.trace, "start "+r.Name) }},
	}
}

func TestStagesRunInOrderThenAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStageWorld()
		p := w.pipeline()
		require.NoError(t, p.Run(t.Context()))
		assert.Equal(t, "start corpus, finish corpus, start tokenizer, finish tokenizer, start pretrain, finish pretrain, start sft, finish sft",
			strings.Join(w.trace, ", "))
		records, err := p.Records()
		require.NoError(t, err)
		require.Len(t, records, 4)
		assert.InDelta(t, 120, records[1].Seconds, 1e-6)
		assert.Equal(t, StageDone, records[1].State)
		p = w.pipeline()
		require.NoError(t, p.Run(t.Context()))
		assert.Equal(t, "skip corpus, skip tokenizer, skip pretrain, skip sft", strings.Join(w.trace, ", "))
	})
}

func TestAChangeRemakesTheStageAndWhatNeedsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStageWorld()
		require.NoError(t, w.pipeline().Run(t.Context()))
		p := w.pipeline()
		p.Stages[2].Text = []byte("another vocabulary")
		require.NoError(t, p.Run(t.Context()))
		assert.Equal(t, "skip corpus, outdated tokenizer, start tokenizer, finish tokenizer, outdated pretrain, start pretrain, finish pretrain, "+
			"outdated sft, start sft, finish sft", strings.Join(w.trace, ", "))
		b, err := vfs.ReadFile(w.fsys, "tokenizer/step0", 100)
		require.NoError(t, err)
		assert.Equal(t, "another vocabulary", string(b))
		p = w.pipeline()
		p.Stages[2].Text, p.Code = []byte("another vocabulary"), "v2"
		require.NoError(t, p.Run(t.Context()))
		assert.Contains(t, w.trace, "start corpus", "another program makes everything anew")
	})
}

func TestAFailedStageEndsThePipelineAndIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStageWorld()
		for _, c := range []struct {
			exit Exit
			code int
			want string
		}{
			{Exit{Known: true, Code: 5}, 5, "stage pretrain: exit code 5 (training diverged); its output is in stages/pretrain.log"},
			{Exit{Known: true, Code: 75}, 75, "stopped after saving"},
			{Exit{Known: true, Code: -1, Signal: "killed"}, 1, "ended by signal killed"},
		} {
			w.exit["pretrain"] = c.exit
			err := w.pipeline().Run(t.Context())
			var stage *StageError
			require.True(t, errors.As(err, &stage))
			assert.Equal(t, c.code, stage.ExitCode())
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, w.trace, "start sft")
		}
		delete(w.exit, "pretrain")
		require.NoError(t, w.pipeline().Run(t.Context()))
		assert.Contains(t, w.trace, "start sft")
	})
}

func TestAStoppedPipelineResumesTheInterruptedStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStageWorld()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute+30*time.Second) // in the tokenizer's second step
		defer cancel()
		err := w.pipeline().Run(ctx)
		assert.ErrorContains(t, err, "stage tokenizer: exit code 75")
		assert.Contains(t, w.trace, "stop tokenizer")
		p := w.pipeline()
		require.NoError(t, p.Run(t.Context()))
		assert.Contains(t, w.trace, "resume tokenizer")
		assert.Contains(t, w.trace, "skip corpus")
		records, _ := p.Records()
		assert.InDelta(t, 150, records[2].Seconds, 1e-6, "both attempts: 90 s, then 60 s")
	})
}

func TestAForeignDirectoryIsNeverTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStageWorld()
		require.NoError(t, vfs.MkdirAll(w.fsys, "corpus"))
		assert.ErrorContains(t, w.pipeline().Run(t.Context()), "corpus exists and was not made by this pipeline")
	})
}

func TestAnOrphanOfAKilledPipelineIsStoppedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStageWorld()
		p := w.pipeline()
		hash := p.hash(p.Stages[1], nil)
		require.NoError(t, vfs.MkdirAll(w.fsys, recordsDir))
		r := &StageRecord{Name: "corpus", Hash: hash, State: StageRunning, Attempts: 1}
		require.NoError(t, p.write(r))
		orphan := &stageChild{make(chan Exit, 1), make(chan struct{}, 1)}
		w.child[p.marker(r)] = orphan
		go func() {
			<-orphan.stop
			time.Sleep(time.Second)
			delete(w.child, p.marker(r))
			orphan.done <- Exit{}
		}()
		require.NoError(t, p.Run(t.Context()))
		assert.Equal(t, []string{"stop corpus", "start corpus"}, w.trace[:2])
	})
}

func TestOnePipelineAtATime(t *testing.T) {
	w := newStageWorld()
	require.NoError(t, vfs.MkdirAll(w.fsys, recordsDir))
	unlock, err := vfs.Lock(w.fsys, recordsDir)
	require.NoError(t, err)
	defer unlock()
	assert.ErrorIs(t, w.pipeline().Run(t.Context()), vfs.ErrLocked)
}

func TestBadGraphsAndRecordsAreErrors(t *testing.T) {
	w := newStageWorld()
	for _, stages := range [][]Stage{
		{{Name: "a", Needs: []string{"b"}}, {Name: "b", Needs: []string{"a"}}},
		{{Name: "a", Needs: []string{"missing"}}},
		{{Name: "a"}, {Name: "a"}},
		{{Name: "stages"}},
		{{Name: "../a"}},
	} {
		p := w.pipeline()
		p.Stages = stages
		assert.Error(t, p.Run(t.Context()))
	}
	require.NoError(t, vfs.MkdirAll(w.fsys, recordsDir))
	require.NoError(t, vfs.WriteFile(w.fsys, "stages/corpus.json", []byte("{")))
	assert.ErrorContains(t, w.pipeline().Run(t.Context()), "is not the record of stage corpus")
}

// Power fails at every operation of a pipeline; run again, it always ends with the same files.
func TestPipelineSurvivesPowerLossAtEveryOperation(t *testing.T) {
	points := 0
	for n, more := 1, true; more; n++ {
		synctest.Test(t, func(t *testing.T) {
			w := newStageWorld()
			w.fsys.Hook = dieAt(n)
			more = w.pipeline().Run(t.Context()) != nil
			points++
			w.fsys.Hook = nil
			synctest.Wait()
			time.Sleep(time.Hour)
			w.fsys = w.fsys.Crash(newWorld(uint64(n)).r, float64(n%3)/2)
			require.NoError(t, w.pipeline().Run(t.Context()), "operation %d", n)
			for _, s := range w.pipeline().Stages {
				for _, step := range []string{"step0", "step1"} {
					b, err := vfs.ReadFile(w.fsys, path.Join(s.Name, step), 100)
					require.NoError(t, err)
					assert.Equal(t, string(s.Text), string(b))
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d crash points", points)
}
