package sched

import (
	"fmt"
	"time"
)

// recover takes over what an earlier scheduler left: jobs that wait, children that still run, attempts whose end nobody
// saw, and moves that were cut off.
func (s *Scheduler) recover() error {
	now := time.Now()
	pending, problems := s.queue.list(Pending)
	running, more := s.queue.list(Running)
	for _, p := range append(problems, more...) {
		s.problem(p)
	}
	jobs := append(pending, running...)
	for i := range jobs {
		j := &jobs[i]
		s.jobs[j.ID] = j
		if j.Result != nil { // it ended; only its file was not moved yet
			if err := s.toDone(j); err != nil {
				return err
			}
			continue
		}
		if j.State == Pending {
			continue
		}
		p, alive := s.cfg.Launcher.Find(j.Process, j.marker())
		if !alive {
			if err := s.settle(j, Exit{}, now); err != nil {
				return err
			}
			continue
		}
		if j.Process != p.ID() {
			j.Process = p.ID()
			if err := s.queue.write(j); err != nil {
				return err
			}
		}
		s.watch(j, p)
		event(s.cfg.Events.Adopted, j)
		if j.Stop != "" {
			p.Stop() // perhaps the note was written and the signal never sent
		}
	}
	return nil
}

// ended takes in the exit of a child.
func (s *Scheduler) ended(e childExit) error {
	j := s.jobs[e.id]
	if j == nil || j.State != Running || j.Attempt != e.attempt {
		return nil
	}
	return s.settle(j, e.exit, time.Now())
}

// settle decides what an attempt's end means.
func (s *Scheduler) settle(j *Job, exit Exit, now time.Time) error {
	delete(s.procs, j.ID)
	launched := j.Process != ProcessID{}
	if !exit.Known && launched {
		exit.Code, exit.Known = s.cfg.Outcome(*j)
	}
	j.LastExit = exit.String()
	code := -1
	if exit.Known && exit.Signal == "" {
		code = exit.Code
	}
	switch code {
	case ExitOK:
		return s.finish(j, Succeeded, code, "", now)
	case ExitRecipe, ExitCheck, ExitDiverged:
		return s.finish(j, Failed, code, j.LastExit, now)
	case ExitInterrupt:
		return s.finish(j, Cancelled, code, j.LastExit, now)
	}
	switch j.Stop {
	case StopCancel:
		return s.finish(j, Cancelled, code, string(StopCancel), now)
	case StopTime:
		return s.finish(j, Failed, code, string(StopTime), now)
	case StopPreempt:
		return s.retry(j, string(StopPreempt), code, false, now)
	}
	// An attempt that was never launched is not the job's failure. One that ended on its own is, be it with 75, since
	// nobody asked for it, or unseen: it may be what brings the machine down every time.
	return s.retry(j, j.LastExit, code, launched, now)
}

// retry sends a job back to pending, or ends it after too many failures without progress.
func (s *Scheduler) retry(j *Job, why string, code int, failure bool, now time.Time) error {
	if failure {
		if mark := s.cfg.Progress(*j); mark != j.Mark {
			j.Failures = 0
		} else {
			j.Failures++
		}
		if j.Failures > j.Restarts {
			return s.finish(j, Failed, code, fmt.Sprintf("%s; %d times in a row without a new checkpoint", why, j.Failures), now)
		}
		j.NotBefore = now.Add(s.backoff(j.Failures))
	}
	if j.State == Running {
		j.Ran += now.Sub(j.Since)
		j.Since = now
		j.Device, j.Process, j.Stop, j.StopAt = "", ProcessID{}, "", time.Time{}
		if err := s.queue.move(j, Pending); err != nil {
			return err
		}
	} else if err := s.queue.write(j); err != nil {
		return err
	}
	if s.cfg.Events.Requeued != nil {
		s.cfg.Events.Requeued(*j, why)
	}
	return nil
}

// backoff doubles with every failure in a row.
func (s *Scheduler) backoff(failures int) time.Duration {
	d := s.cfg.Backoff
	for range failures - 1 {
		if d *= 2; d >= s.cfg.MaxBackoff {
			break
		}
	}
	return min(d, s.cfg.MaxBackoff)
}

// finish ends a job for good.
func (s *Scheduler) finish(j *Job, outcome Outcome, code int, reason string, now time.Time) error {
	if j.State == Running {
		j.Ran += now.Sub(j.Since)
	} else {
		j.Waited += now.Sub(j.Since)
	}
	j.Since = now
	j.Result = &Result{Outcome: outcome, Code: code, Reason: reason, At: now}
	if err := s.queue.write(j); err != nil {
		return err
	}
	return s.toDone(j)
}

// toDone moves a job that has its result.
func (s *Scheduler) toDone(j *Job) error {
	if err := s.queue.rename(j, Done); err != nil {
		return err
	}
	s.queue.forgetCancel(j.ID)
	delete(s.jobs, j.ID)
	delete(s.procs, j.ID)
	event(s.cfg.Events.Finished, j)
	return nil
}
