package sched

import (
	"fmt"
	"regexp"
	"time"
)

// State is where a job stands, which is the directory its file is in.
type State string

const (
	Inbox   State = "inbox"
	Pending State = "pending"
	Running State = "running"
	Done    State = "done"
)

// Exit codes of children that the scheduler tells apart; every other one is a failure that may be tried again.
const (
	ExitOK        = 0
	ExitRecipe    = 2   // usage or recipe error: nothing was started, and it never will be
	ExitCheck     = 3   // a check failed: the work itself was done
	ExitDiverged  = 5   // training diverged, and would again
	ExitRequeue   = 75  // stopped on request after saving
	ExitInterrupt = 130 // interrupted by a person after saving
)

// A Job is one file of the queue. The first group is the submitter's, the rest the scheduler's.
type Job struct {
	ID           string        `json:"id"`
	Name         string        `json:"name"`
	Priority     int           `json:"priority"` // 0 to 100
	Dir          string        `json:"dir"`      // run directory
	Args         []string      `json:"args"`     // the caller's: what Config.Command builds the command line from
	Restarts     int           `json:"restarts"` // failures in a row without progress that are forgiven
	StopDuration time.Duration `json:"stop_duration_ns"`
	MaxDuration  time.Duration `json:"max_duration_ns,omitempty"` // of running; 0 is no limit
	Submitted    time.Time     `json:"submitted"`

	Since     time.Time     `json:"since"`               // in the present state
	Waited    time.Duration `json:"waited_ns,omitempty"` // in earlier waits
	Ran       time.Duration `json:"ran_ns,omitempty"`    // in earlier attempts
	NotBefore time.Time     `json:"not_before,omitzero"` // back-off
	Attempt   int           `json:"attempt,omitempty"`   // 1 is the first
	Failures  int           `json:"failures,omitempty"`  // in a row without progress
	Mark      string        `json:"mark,omitempty"`      // progress when the attempt began
	Demand    *Demand       `json:"demand,omitempty"`    // by the plan
	Device    string        `json:"device,omitempty"`    // where it runs
	Process   ProcessID     `json:"process,omitzero"`    // of the attempt
	Stop      StopReason    `json:"stop,omitempty"`      // why the attempt was told to stop
	StopAt    time.Time     `json:"stop_at,omitzero"`    // when
	LastExit  string        `json:"last_exit,omitempty"` // of the attempt before, for people
	Result    *Result       `json:"result,omitempty"`    // when done
	State     State         `json:"-"`
	Cancelled bool          `json:"-"` // somebody asked for its end
}

// Demand is what a job needs while it runs.
type Demand struct {
	Device string `json:"device"` // a device's name, its kind ("cuda"), or "" for any
	Bytes  int64  `json:"bytes"`  // of device memory, at the peak
}

// StopReason is why a running job was told to stop.
type StopReason string

const (
	StopPreempt StopReason = "preempted by a job of higher priority"
	StopCancel  StopReason = "cancelled"
	StopTime    StopReason = "max_duration is over"
)

// Result is how a job ended.
type Result struct {
	Outcome Outcome   `json:"outcome"`
	Code    int       `json:"code"` // exit code of the last attempt; -1 if it has none
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// Outcome is the kind of a job's end.
type Outcome string

const (
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"
	Cancelled Outcome = "cancelled"
)

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// check refuses a job that could not be run, before it is written.
func (j *Job) check() error {
	switch {
	case !idForm.MatchString(j.ID):
		return fmt.Errorf("job id %q: want letters, digits, - and _", j.ID)
	case j.Priority < 0 || j.Priority > 100:
		return fmt.Errorf("job %s: priority %d is not between 0 and 100", j.ID, j.Priority)
	case j.Restarts < 0 || j.StopDuration < 0 || j.MaxDuration < 0:
		return fmt.Errorf("job %s: restarts and durations cannot be negative", j.ID)
	}
	return nil
}

// LogName is the log of an attempt, relative to the queue's directory.
func (j *Job) LogName() string { return fmt.Sprintf("logs/%s.%d.log", j.ID, j.Attempt) }

// effective is the priority with the time waited added: perHour points for each hour, up to 100. It stands still while
// the job runs.
func (j *Job) effective(now time.Time, perHour float64) float64 {
	waited := j.Waited
	if j.State == Pending && now.After(j.Since) {
		waited += now.Sub(j.Since)
	}
	return max(float64(j.Priority), min(100, float64(j.Priority)+perHour*waited.Hours()))
}

// before orders waiting jobs.
func before(a, b *Job, now time.Time, perHour float64) int {
	ea, eb := a.effective(now, perHour), b.effective(now, perHour)
	switch {
	case ea != eb:
		if ea > eb {
			return -1
		}
		return 1
	case !a.Submitted.Equal(b.Submitted):
		return a.Submitted.Compare(b.Submitted)
	case a.ID < b.ID:
		return -1
	}
	return 1
}
