package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"forja/engine/recipe"
	"forja/engine/sched"
	"forja/engine/train"
	"forja/engine/vfs"
)

// The exit codes. `forja help exit-codes` prints them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitCheck       = 3
	exitDevice      = 4
	exitDiverged    = 5
	exitStorage     = 74
	exitPreempted   = 75
	exitInterrupted = 130
)

const exitCodesHelp = `Exit codes

    0  done
    1  failed
    2  usage or recipe error: nothing was started
    3  a check failed: eval --min, bench --min
    4  device error
    5  training diverged: the loss is not finite
   74  storage failed; the last checkpoint is intact
   75  stopped on request with a checkpoint saved: run it again
  130  interrupted from the terminal, after saving
`

// A usageError is a mistake in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A checkError says that the work was done and its result is not good enough.
type checkError struct{ error }

// A deviceError says that a device cannot be used.
type deviceError struct{ error }

func (e deviceError) Unwrap() error { return e.error }

// A stopRequest is why a context ended: a signal.
type stopRequest struct{ signal os.Signal }

func (s *stopRequest) Error() string { return s.signal.String() }

// A goesOn error ends work of which all that was finished is kept.
type goesOn struct{ error }

func (e goesOn) Unwrap() error { return e.error }

// end reports an error to the user, once, and returns the exit code.
func (a *app) end(ctx context.Context, err error) int {
	a.talk.clear()
	if err == nil {
		return exitDone
	}
	code := exitCode(ctx, err)
	if code == exitPreempted || code == exitInterrupted {
		var on goesOn
		var stage *sched.StageError
		switch {
		case errors.Is(err, train.ErrStopped): // the verb has said what was saved
		case errors.As(err, &on):
			a.talk.printf("stopped: the same command goes on")
		case errors.As(err, &stage):
			a.talk.printf("stopped: the same command goes on with stage %s", stage.Stage)
		default:
			a.talk.printf("stopped: the same command begins this stage again")
		}
		return code
	}
	fmt.Fprintf(a.talk.w, "error: %s\n", strings.TrimSpace(err.Error()))
	return code
}

func exitCode(ctx context.Context, err error) int {
	var (
		recipeErr *recipe.Error
		usage     usageError
		check     checkError
		device    deviceError
		diverged  *train.NotFiniteError
		stage     *sched.StageError
		stop      *stopRequest
	)
	switch {
	case errors.As(err, &recipeErr), errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &check):
		return exitCheck
	case errors.As(err, &device):
		return exitDevice
	case errors.As(err, &diverged):
		return exitDiverged
	case errors.Is(err, vfs.ErrNoSpace):
		return exitStorage
	case errors.Is(err, train.ErrStopped), errors.Is(err, context.Canceled), errors.As(err, &stop):
		if errors.As(context.Cause(ctx), &stop) && stop.signal == os.Interrupt {
			return exitInterrupted
		}
		return exitPreempted
	case errors.As(err, &stage) && stage.Code == exitPreempted && errors.As(context.Cause(ctx), &stop) && stop.signal == os.Interrupt:
		return exitInterrupted // what was told to this process, which told the stage
	case errors.As(err, &stage) && stage.Code > 0:
		return stage.Code
	}
	return exitFailed
}
