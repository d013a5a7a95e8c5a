package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/recipe"
	"forja/engine/sched"
	"forja/engine/vfs"
)

// home is where the queue is: $FORJA_HOME, else forja under the user's data directory.
func home() (string, error) {
	if h := os.Getenv("FORJA_HOME"); h != "" {
		return h, nil
	}
	if x := os.Getenv("XDG_DATA_HOME"); x != "" {
		return filepath.Join(x, "forja"), nil
	}
	h, err := os.UserHomeDir()
	if err != nil {
		return "", usagef("there is no home directory for the queue: set FORJA_HOME")
	}
	return filepath.Join(h, ".local", "share", "forja"), nil
}

// queueDir opens the queue's directory.
func queueDir() (*vfs.Disk, error) {
	h, err := home()
	if err != nil {
		return nil, err
	}
	return vfs.MakeOS(filepath.Join(h, "queue"))
}

func openQueue() (*sched.Queue, *vfs.Disk, error) {
	d, err := queueDir()
	if err != nil {
		return nil, nil, err
	}
	q, err := sched.OpenQueue(d)
	return q, d, err
}

// runCmd queues a recipe, or runs a pipeline here and now.
func (a *app) runCmd() *cobra.Command {
	var settings []setting
	var out string
	var now bool
	c := &cobra.Command{Use: "run RECIPE -o DIR", Short: "queue a recipe of one stage or many (--now runs it here)", Args: cobra.ExactArgs(1),
		Example: "  forja run tiny -o runs/tiny\n  forja run speedrun -o runs/speedrun --now\n  forja scheduler      # executes the queue"}
	c.Flags().StringVarP(&out, "output", "o", "", "directory of the run or pipeline")
	c.Flags().BoolVar(&now, "now", false, "run here instead of queueing; a pipeline skips stages that are done")
	addStageKeys(c, &settings, a.args)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := loadRecipe(args[0], "", settings)
		if err != nil {
			return err
		}
		if len(r.Stages) == 0 && r.Kind == "" {
			if err := r.As("pretrain"); err != nil {
				return err
			}
			if err := r.Resolve(); err != nil {
				return err
			}
		}
		if out == "" {
			return usagef("say where the run goes: -o DIR")
		}
		if now {
			return a.runNow(c.Context(), r, out)
		}
		return a.submit(r, out)
	}
	return c
}

// runNow runs a recipe in this process: a pipeline's stages as children.
func (a *app) runNow(ctx context.Context, r *recipe.Recipe, out string) error {
	if len(r.Stages) == 0 {
		return a.runStage(ctx, r, out)
	}
	_, err := a.pipeline(ctx, r, out)
	return err
}

// submit writes the resolved recipe into the run directory and a job into the queue.
func (a *app) submit(r *recipe.Recipe, out string) error {
	dir, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	d, err := vfs.MakeOS(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := vfs.WriteFile(d, "queued.yaml", r.Marshal()); err != nil {
		return err
	}
	q, qd, err := openQueue()
	if err != nil {
		return err
	}
	defer qd.Close()
	name := r.Name
	if name == "" {
		name = filepath.Base(dir)
	}
	j, err := q.Submit(sched.Job{Name: name, Dir: dir, Priority: r.Job.Priority, Restarts: r.Job.Restarts, StopDuration: r.Job.StopDuration,
		MaxDuration: r.Job.MaxDuration, Args: []string{"run", filepath.Join(dir, "queued.yaml"), "-o", dir, "--now"}})
	if err != nil {
		return err
	}
	return a.print(j, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n", j.ID)
		a.talk.printf("queued %s as %s; watch it: forja logs -f %s\nexecuted by: forja scheduler", name, j.ID, j.ID)
	})
}

// schedulerCmd executes the queue.
func (a *app) schedulerCmd() *cobra.Command {
	c := &cobra.Command{Use: "scheduler", Short: "execute the queue of this machine until stopped", Args: cobra.NoArgs, GroupID: ""}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, closer, err := a.schedConfig(c.Context())
		if err != nil {
			return err
		}
		defer closer()
		s, err := sched.New(cfg)
		if err != nil {
			return err
		}
		a.talk.printf("executing the queue; Ctrl-C leaves running jobs to the next scheduler")
		return s.Run(c.Context())
	}
	return c
}

// schedConfig is what a scheduler of forja jobs is given.
func (a *app) schedConfig(ctx context.Context) (sched.Config, func(), error) {
	_, d, err := openQueue()
	if err != nil {
		return sched.Config{}, nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return sched.Config{}, nil, err
	}
	devices, survey, closeDevices, err := a.jobDevices(ctx)
	if err != nil {
		return sched.Config{}, nil, errors.Join(err, d.Close())
	}
	say := func(what string) func(sched.Job) {
		return func(j sched.Job) { a.talk.printf("%-9s %s  %s", what, j.ID, j.Name) }
	}
	cfg := sched.Config{FS: d, Launcher: sched.OS{}, Devices: devices, Survey: survey,
		Command: func(j sched.Job) (sched.Command, error) {
			return sched.Command{Argv: append([]string{exe}, j.Args...), Env: []string{placed + "=" + j.Device}}, nil
		},
		Plan:     a.planJob,
		Progress: func(j sched.Job) string { return progressMark(j.Dir) },
		Outcome:  func(j sched.Job) (int, bool) { return runOutcome(j.Dir) },
		Events: sched.Events{Accepted: say("accepted"), Started: say("started"), Adopted: say("adopted"), Stopping: say("stopping"), Finished: func(j sched.Job) {
			a.talk.printf("%-9s %s  %s  %s", j.Result.Outcome, j.ID, j.Name, j.Result.Reason)
		}, Requeued: func(j sched.Job, why string) { a.talk.printf("requeued  %s  %s: %s", j.ID, j.Name, why) },
			Problem: func(err error) { a.talk.printf("! %v", err) }}}
	return cfg, func() { closeDevices(); d.Close() }, nil
}

// planJob asks what a job needs: the most of its training stages.
func (a *app) planJob(ctx context.Context, j sched.Job) (sched.Demand, error) {
	r, err := loadRecipe(filepath.Join(j.Dir, "queued.yaml"), "", nil)
	if err != nil {
		return sched.Demand{}, planError{err}
	}
	stages := []*recipe.Stage{&r.Stage}
	for i := range r.Stages {
		stages = append(stages, &r.Stages[i])
	}
	d := sched.Demand{}
	quiet := &app{talk: &talk{w: io.Discard, quiet: true}, stdout: io.Discard}
	for _, s := range stages {
		if s.Kind != "pretrain" && (s.Kind != "sft" || s.Base != "" && !exists(s.Base)) {
			continue
		}
		if s.Kind == "" {
			continue
		}
		d.Device = s.Device
		p, err := quiet.planStage(ctx, s, 0)
		if err != nil {
			return d, planError{err}
		}
		d.Bytes = max(d.Bytes, int64(p.Bytes+p.Overhead))
	}
	return d, nil
}

// A planError carries the exit code that the scheduler looks at.
type planError struct{ error }

func (e planError) ExitCode() int { return exitCode(context.Background(), e.error) }
func (e planError) Unwrap() error { return e.error }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// progressMark changes whenever a run, or a stage of a pipeline, has a new checkpoint or result.
func progressMark(dir string) string {
	mark := ""
	for _, pattern := range []string{"ckpt/*", "*/ckpt/*", "stages/*.json"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			continue
		}
		for _, n := range names {
			if info, err := os.Stat(n); err == nil {
				mark = max(mark, fmt.Sprintf("%s %d", info.ModTime().UTC().Format(time.RFC3339Nano), len(names)))
			}
		}
	}
	return mark
}

// runOutcome reads how a run ended that nobody watched.
func runOutcome(dir string) (code int, known bool) {
	b, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return 0, false
	}
	var ri runInfo
	if json.Unmarshal(b, &ri) != nil {
		return 0, false
	}
	switch ri.State {
	case "done":
		return exitDone, true
	case "stopped":
		return exitPreempted, true
	case "failed":
		return exitFailed, true
	}
	return 0, false
}

func (a *app) jobsCmd() *cobra.Command {
	return &cobra.Command{Use: "jobs", Short: "list the queue", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		q, d, err := openQueue()
		if err != nil {
			return err
		}
		defer d.Close()
		a.tidy(c.Context())
		jobs, bad := q.List()
		for _, err := range bad {
			a.talk.printf("! %v", err)
		}
		return a.print(jobs, func(w io.Writer) {
			if len(jobs) == 0 {
				fmt.Fprintln(w, "the queue is empty")
				return
			}
			fmt.Fprintf(w, "%-22s %-9s %4s %4s  %-14s %s\n", "id", "state", "prio", "try", "name", "directory")
			for _, j := range jobs {
				state := string(j.State)
				if j.Result != nil {
					state = string(j.Result.Outcome)
				}
				fmt.Fprintf(w, "%-22s %-9s %4d %4d  %-14s %s\n", j.ID, state, j.Priority, j.Attempt, j.Name, j.Dir)
			}
		})
	}}
}

// tidy brings the queue up to date where no scheduler runs; with one there is nothing to do.
func (a *app) tidy(ctx context.Context) {
	cfg, closer, err := a.schedConfig(ctx)
	if err != nil {
		return
	}
	defer closer()
	if s, err := sched.New(cfg); err == nil {
		_ = s.Tidy() // a *vfs.LockedError says that a scheduler does it
	}
}

func (a *app) logsCmd() *cobra.Command {
	var follow bool
	c := &cobra.Command{Use: "logs JOB", Short: "show a job's output", Args: cobra.ExactArgs(1)}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the attempt ends")
	c.RunE = func(c *cobra.Command, args []string) error {
		q, d, err := openQueue()
		if err != nil {
			return err
		}
		defer d.Close()
		j, err := q.Find(args[0])
		if err != nil {
			return usageError{err}
		}
		for follow && j.Attempt == 0 && j.State != sched.Done && c.Context().Err() == nil {
			time.Sleep(200 * time.Millisecond)
			if j, err = q.Find(j.ID); err != nil {
				return err
			}
		}
		if j.Attempt == 0 {
			return usagef("job %s has not been started yet", j.ID)
		}
		name := j.LogName()
		return sched.Follow(c.Context(), d, name, 0, a.stdout, func() bool {
			if !follow {
				return true
			}
			now, err := q.Find(j.ID)
			return err != nil || now.State != sched.Running || now.Attempt != j.Attempt
		})
	}
	return c
}

func (a *app) cancelCmd() *cobra.Command {
	return &cobra.Command{Use: "cancel JOB", Short: "end a job; what it saved stays", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		q, d, err := openQueue()
		if err != nil {
			return err
		}
		defer d.Close()
		j, err := q.Find(args[0])
		if err != nil {
			return usageError{err}
		}
		if err := q.Cancel(j.ID); err != nil {
			return err
		}
		a.tidy(c.Context())
		a.talk.printf("asked %s to end", j.ID)
		return nil
	}}
}
