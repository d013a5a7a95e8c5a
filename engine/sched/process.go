package sched

import "fmt"

// A Launcher starts child processes and finds those that an earlier scheduler started. It is an interface so that the
// scheduler can be simulated.
type Launcher interface {
	// Start starts a child that outlives this process.
	Start(c Command) (Process, error)
	// Find returns the child with that marker, if it still runs. The id helps, and may be zero: its parent may have died
	// before it could note it.
	Find(id ProcessID, marker string) (Process, bool)
}

// A Process is a child that runs, or has run.
type Process interface {
	ID() ProcessID
	// Done delivers the exit, once.
	Done() <-chan Exit
	// Stop asks the process to save and exit with 75 (SIGTERM). Kill ends it and its children (SIGKILL). Neither waits, and
	// both may be repeated.
	Stop()
	Kill()
}

// A Command is what to start.
type Command struct {
	Argv []string
	Env  []string // added to this process's environment
	Dir  string   // working directory; "" is this process's
	Log  string   // file that gets standard output and error, appended

	Marker string // set by the scheduler: names the attempt in the child's environment
}

// ProcessID names a process for good: the number alone is used again.
type ProcessID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // when it started, in the system's own terms
}

// Exit is how a process ended.
type Exit struct {
	Known  bool // false if it was not our own child, so that its code is lost
	Code   int  // 0 to 255; -1 if a signal ended it
	Signal string
}

func (e Exit) String() string {
	switch {
	case !e.Known:
		return "ended while no scheduler was watching"
	case e.Signal != "":
		return "ended by signal " + e.Signal
	}
	return fmt.Sprintf("exit code %d%s", e.Code, codeMeaning(e.Code))
}

func codeMeaning(code int) string {
	switch code {
	case ExitOK:
		return ""
	case 1:
		return " (failed)"
	case ExitRecipe:
		return " (usage or recipe error)"
	case ExitCheck:
		return " (a check failed)"
	case 4:
		return " (device error)"
	case ExitDiverged:
		return " (training diverged)"
	case 74:
		return " (storage failed)"
	case ExitRequeue:
		return " (stopped after saving)"
	case ExitInterrupt:
		return " (interrupted after saving)"
	}
	return ""
}
