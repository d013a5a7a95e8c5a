package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"forja/engine/recipe"
	"forja/engine/sched"
	"forja/engine/vfs"
)

// splitOutput divides a new directory's path into parent and name.
func splitOutput(out string) (parent, name string, err error) {
	abs, err := filepath.Abs(out)
	if err != nil {
		return "", "", err
	}
	if exists(abs) {
		return "", "", usagef("%s exists already: choose another directory", out)
	}
	return filepath.Dir(abs), filepath.Base(abs), nil
}

// codeVersion is part of the hash of every stage but crawls: another program makes other results. A build without a version is known by
// the file's size and time.
func codeVersion(exe string) string {
	if info, err := os.Stat(exe); err == nil && (version == "unknown" || strings.HasSuffix(version, "-dirty")) {
		return version + " " + info.ModTime().UTC().Format(time.RFC3339Nano)
	}
	return version
}

// pipeline runs the stages of a recipe as child processes in out and returns their records.
func (a *app) pipeline(ctx context.Context, r *recipe.Recipe, out string) ([]sched.StageRecord, error) {
	d, err := vfs.MakeOS(out)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &sched.Pipeline{FS: d, Launcher: sched.OS{}, StopDuration: r.Job.StopDuration}
	for i := range r.Stages {
		s := &r.Stages[i]
		text := s.Marshal()
		if s.Kind != "crawl" { // nobody's servers are asked again because this program changed
			text = fmt.Appendf(text, "# made by %s\n", codeVersion(exe))
		}
		p.Stages = append(p.Stages, sched.Stage{Name: s.Name, Needs: s.Needs, Text: text})
	}
	if err := vfs.MkdirAll(d, "recipes"); err != nil {
		return nil, err
	}
	written := map[string]int64{} // to each stage's log, before it is started
	p.Command = func(s sched.Stage, resume bool) (sched.Command, error) {
		if info, err := os.Stat(d.Path("stages/" + s.Name + ".log")); err == nil {
			written[s.Name] = info.Size()
		}
		one, _ := r.Extract(s.Name, d.Path)
		file := "recipes/" + s.Name + ".yaml"
		if err := vfs.WriteFile(d, file, one.Marshal()); err != nil {
			return sched.Command{}, err
		}
		return sched.Command{Argv: []string{exe, "stage", d.Path(file), "-o", d.Path(s.Name)}}, nil
	}
	var stopTail func()
	p.Events = sched.PipelineEvents{
		Skipped: func(r sched.StageRecord) { a.talk.printf("── %s: done before, skipped", r.Name) },
		Outdated: func(r sched.StageRecord) {
			a.talk.printf("── %s: its recipe, its inputs or the program changed; making it anew", r.Name)
		},
		Started: func(r sched.StageRecord, log string) {
			a.talk.printf("── %s", r.Name)
			stopTail = a.tail(d, log, written[r.Name])
		},
		Stopping: func(r sched.StageRecord) { a.talk.printf("── %s: finishing its step and saving", r.Name) },
		Finished: func(r sched.StageRecord) {
			stopTail()
			a.talk.printf("── %s: %s in %s", r.Name, r.State, span(time.Duration(r.Seconds*float64(time.Second))))
		},
	}
	err = p.Run(ctx)
	records, rerr := p.Records()
	if err == nil {
		err = rerr
	}
	return records, err
}

// tail copies what a stage writes to its log, behind what earlier attempts wrote, until the returned function is called.
func (a *app) tail(d *vfs.Disk, log string, at int64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	ended := false
	go func() {
		defer close(done)
		rel, err := filepath.Rel(d.Path("."), log)
		if err != nil {
			rel = log
		}
		_ = sched.Follow(ctx, d, filepath.ToSlash(rel), at, lineWriter{a.talk}, func() bool { return ctx.Err() != nil || ended })
	}()
	return func() {
		time.Sleep(150 * time.Millisecond) // the last lines
		cancel()
		<-done
	}
}

// A lineWriter says each line of a child's output.
type lineWriter struct{ t *talk }

func (w lineWriter) Write(b []byte) (int, error) {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n"), "\n") {
		w.t.printf("   %s", line)
	}
	return len(b), nil
}
