package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// A talk is what forja says on standard error while it works: lines, and on a terminal one live line below them.
type talk struct {
	mu    sync.Mutex
	w     io.Writer
	tty   bool
	color bool
	quiet bool
	live  bool
	last  time.Time
}

func newTalk(w io.Writer) *talk {
	t := &talk{w: w}
	if f, ok := w.(*os.File); ok {
		t.tty = term.IsTerminal(int(f.Fd()))
	}
	t.color = t.tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return t
}

// printf says a line.
func (t *talk) printf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quiet {
		return
	}
	t.wipe()
	fmt.Fprintf(t.w, format+"\n", args...)
}

// progress replaces the live line, at most ten times a second. Without a terminal it says nothing.
func (t *talk) progress(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quiet || !t.tty || time.Since(t.last) < 100*time.Millisecond {
		return
	}
	t.wipe()
	line := fmt.Sprintf(format, args...)
	if f, ok := t.w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 1 {
			if r := []rune(line); len(r) >= width {
				line = string(r[:width-1])
			}
		}
	}
	fmt.Fprint(t.w, line)
	t.live, t.last = true, time.Now()
}

// clear removes the live line.
func (t *talk) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipe()
}

func (t *talk) wipe() {
	if t.live {
		fmt.Fprint(t.w, "\r\x1b[K")
		t.live = false
	}
}

// dim is text of lesser weight.
func (t *talk) dim(s string) string {
	if !t.color {
		return s
	}
	return "\x1b[2m" + s + "\x1b[0m"
}
