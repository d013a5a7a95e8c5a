//go:build unix

package sched

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// markerVar is the environment variable by which a child is found again.
const markerVar = "FORJA_CHILD"

// OS starts real processes. Each is in a process group of its own, so that Ctrl-C in a terminal does not reach it, and
// writes to a file, so that it does not depend on this process.
type OS struct {
	Watch time.Duration // how often a child of another process is looked at; 0 is half a second
}

var _ Launcher = OS{}

// Start starts a child.
func (o OS) Start(c Command) (Process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("the command line is empty")
	}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(append(os.Environ(), c.Env...), markerVar+"="+c.Marker)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.Log != "" {
		if err := os.MkdirAll(filepath.Dir(c.Log), 0o777); err != nil {
			return nil, err
		}
		log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
		if err != nil {
			return nil, err
		}
		defer log.Close() // the child has its own
		cmd.Stdout, cmd.Stderr = log, log
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{id: ProcessID{cmd.Process.Pid, startOf(cmd.Process.Pid)}, done: make(chan Exit, 1)}
	go func() {
		_ = cmd.Wait()
		p.done <- exitOf(cmd.ProcessState)
	}()
	return p, nil
}

func exitOf(state *os.ProcessState) Exit {
	e := Exit{Known: true, Code: state.ExitCode()}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Code, e.Signal = -1, status.Signal().String()
	}
	return e
}

// Find finds a child by its id, or, where the system can list environments, by its marker.
func (o OS) Find(id ProcessID, marker string) (Process, bool) {
	if id.PID <= 0 || !alive(id) {
		pid := findMarker(markerVar + "=" + marker)
		if pid == 0 {
			return nil, false
		}
		id = ProcessID{pid, startOf(pid)}
	}
	p := &process{id: id, done: make(chan Exit, 1)}
	every := o.Watch
	orDefault(&every, 500*time.Millisecond)
	go func() {
		for alive(id) {
			time.Sleep(every)
		}
		p.done <- Exit{}
	}()
	return p, true
}

type process struct {
	id   ProcessID
	done chan Exit
}

func (p *process) ID() ProcessID     { return p.id }
func (p *process) Done() <-chan Exit { return p.done }

// Stop signals the process alone: it stops its own children.
func (p *process) Stop() {
	if alive(p.id) {
		_ = syscall.Kill(p.id.PID, syscall.SIGTERM)
	}
}

// Kill signals the whole group.
func (p *process) Kill() {
	if alive(p.id) {
		_ = syscall.Kill(-p.id.PID, syscall.SIGKILL)
		_ = syscall.Kill(p.id.PID, syscall.SIGKILL)
	}
}

func (id ProcessID) String() string { return fmt.Sprintf("%d@%s", id.PID, id.Start) }
