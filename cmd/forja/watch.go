package main

import (
	"fmt"
	"strings"
	"time"

	"forja/engine/train"
)

// A watch turns a run's events into lines.
type watch struct {
	talk   *talk
	steps  int
	every  int // steps between lines
	flops  float64
	peak   float64
	memory int
	rows   int // tokens of an update

	began  time.Time
	first  int     // step when this process began
	loss   float64 // of the last step
	ema    float64
	header bool
	bpb    float64
	busy   time.Duration // spent in steps since the last line
	tokens int
}

func (w *watch) hooks() train.Hooks {
	return train.Hooks{
		Step: w.step,
		Eval: w.eval,
		Saved: func(step int, name string, took time.Duration) {
			w.talk.progress("saved %s/%s in %s", train.CheckpointDir, name, span(took))
		},
		Resumed: func(step int, skipped []error) {
			for _, err := range skipped {
				w.talk.printf("! %v: falling back to the one before", err)
			}
			w.talk.printf("resumed at step %d", step)
			w.first = step
		},
		Sample: func(s train.Sample) {
			w.talk.printf("%s", w.talk.dim(fmt.Sprintf("        %q → %q", s.Prompt, s.Text)))
		},
	}
}

// step prints a line every so often, and keeps the live line.
func (w *watch) step(s train.Stats) {
	if w.began.IsZero() {
		w.began = time.Now().Add(-s.Elapsed)
		w.ema, w.first = s.Loss, s.Step-1
	}
	w.loss = s.Loss
	w.ema += 0.05 * (s.Loss - w.ema)
	w.busy += s.Elapsed
	w.tokens += s.Tokens
	if s.Skipped {
		w.talk.printf("! step %d: gradient norm %.3g is a spike: update skipped", s.Step, s.GradNorm)
	}
	left := time.Duration(float64(time.Since(w.began)) / float64(s.Step-w.first) * float64(w.steps-s.Step))
	rate := float64(w.tokens) / w.busy.Seconds()
	mfu := 100 * rate * w.flops / w.peak
	w.talk.progress("%s step %d/%d  loss %.4f  %s tok/s  %.0f %% mfu  %s  ETA %s", bar(float64(s.Step)/float64(w.steps)), s.Step, w.steps,
		w.ema, count(rate), mfu, size(w.memory), span(left))
	if s.Step%w.every != 0 && s.Step != w.steps {
		return
	}
	if !w.header {
		w.header = true
		w.talk.printf("%7s %10s %8s %8s %8s %9s %9s %8s %6s  %s", "step", "tokens", "loss", "ema", "gnorm", "lr", "tok/s", "step ms", "mfu", "ETA")
	}
	w.talk.printf("%7d %10s %8.4f %8.4f %8.3f %9.2e %9s %8.0f %6.1f  %s", s.Step, count(s.Step*w.rows), s.Loss, w.ema, s.GradNorm, s.Rate,
		count(rate), float64(s.Elapsed.Milliseconds()), mfu, span(left))
	w.busy, w.tokens = 0, 0
}

func (w *watch) eval(step int, e train.Evaluation) {
	w.bpb = e.BPB
	bpb := ""
	if e.BPB > 0 {
		bpb = fmt.Sprintf(" · %.4f bits per byte", e.BPB)
	}
	w.talk.printf("%7d val %.4f%s", step, e.Loss, bpb)
}

// bar is a share in ten cells.
func bar(x float64) string {
	n := min(10, int(10*x))
	return "▕" + strings.Repeat("█", n) + strings.Repeat("░", 10-n) + "▏"
}
