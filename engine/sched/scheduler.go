package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"forja/engine/vfs"
)

// Config is everything a scheduler is given.
type Config struct {
	FS       vfs.FS // the queue's directory
	Launcher Launcher
	Devices  []Device

	// Survey reads devices before jobs are placed, by name; a device that is missing is trusted. It may be nil.
	Survey func() map[string]Reading

	// Command builds a job's command line. An error ends the job as failed.
	Command func(Job) (Command, error)
	// Plan asks what a job needs, before it may start. It runs beside the scheduler, one job at a time. An error that has a
	// method ExitCode() int returning 2 is a recipe error and ends the job; any other is tried again.
	Plan func(context.Context, Job) (Demand, error)
	// Progress returns a mark that changes with every checkpoint of the job, such as the newest one's name.
	Progress func(Job) string
	// Outcome returns the exit code that a job's run directory tells of; it is asked when a child ended unwatched.
	Outcome func(Job) (code int, known bool)

	Poll       time.Duration // how often the inbox is read; 0 is a second
	Aging      float64       // points of effective priority per hour of waiting; 0 is one
	Backoff    time.Duration // after the first failure, doubling; 0 is 10 seconds
	MaxBackoff time.Duration // 0 is 10 minutes
	Events     Events
}

// Events are told what happens, from the scheduler's goroutine. Each may be nil.
type Events struct {
	Accepted func(Job)
	Planned  func(Job)
	Started  func(Job)
	Adopted  func(Job)         // a child of an earlier scheduler
	Stopping func(Job)         // told to stop: Job.Stop says why
	Killed   func(Job)         // did not stop in time
	Requeued func(Job, string) // back to pending, and why
	Finished func(Job)
	Problem  func(error) // a file that cannot be read, a child that cannot be started
}

// A Scheduler executes a queue. One runs per queue; Run holds the lock.
type Scheduler struct {
	cfg   Config
	queue *Queue

	jobs     map[string]*Job    // pending and running
	procs    map[string]Process // of running jobs
	exits    chan childExit
	plans    chan planResult
	planning string // id of the job being planned
	kick     chan struct{}
	done     chan struct{} // closed when Run returns
	seen     map[string]bool
	refused  map[string]string // why, by device
}

type childExit struct {
	id      string
	attempt int
	exit    Exit
}

type planResult struct {
	id     string
	demand Demand
	err    error
}

// New returns a scheduler for cfg.
func New(cfg Config) (*Scheduler, error) {
	if cfg.Launcher == nil || cfg.Command == nil || cfg.Plan == nil || len(cfg.Devices) == 0 {
		return nil, errors.New("scheduler: Launcher, Command, Plan and Devices are required")
	}
	orDefault(&cfg.Poll, time.Second)
	orDefault(&cfg.Aging, 1)
	orDefault(&cfg.Backoff, 10*time.Second)
	orDefault(&cfg.MaxBackoff, 10*time.Minute)
	if cfg.Progress == nil {
		cfg.Progress = func(Job) string { return "" }
	}
	if cfg.Outcome == nil {
		cfg.Outcome = func(Job) (int, bool) { return 0, false }
	}
	q, err := OpenQueue(cfg.FS)
	if err != nil {
		return nil, err
	}
	return &Scheduler{cfg: cfg, queue: q, jobs: map[string]*Job{}, procs: map[string]Process{},
		exits: make(chan childExit), plans: make(chan planResult), kick: make(chan struct{}, 1),
		done: make(chan struct{}), seen: map[string]bool{}, refused: map[string]string{}}, nil
}

func orDefault[T comparable](v *T, d T) {
	if *v == *new(T) {
		*v = d
	}
}

// Kick makes a running scheduler look at the inbox now.
func (s *Scheduler) Kick() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Run executes the queue until ctx ends, which leaves the children running for the next scheduler, or until the queue's
// directory fails. If another process executes it, the error is a *vfs.LockedError. A Scheduler runs once.
func (s *Scheduler) Run(ctx context.Context) error {
	unlock, err := vfs.Lock(s.cfg.FS, ".")
	if err != nil {
		return err
	}
	defer unlock()
	defer close(s.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a plan in progress
	if err := s.recover(); err != nil {
		return fmt.Errorf("queue %s: %w", s.cfg.FS.Path("."), err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-s.exits:
			err = s.ended(e)
		case p := <-s.plans:
			err = s.planned(p)
		case <-s.kick:
		case <-timer.C:
		}
		var wake time.Time
		if err == nil {
			wake, err = s.step(ctx)
		}
		if err != nil {
			return fmt.Errorf("queue %s: %w", s.cfg.FS.Path("."), err)
		}
		timer.Reset(max(0, time.Until(wake)))
	}
}

// Tidy does once, where no scheduler runs, what one would do besides planning and starting: it accepts the inbox, notes
// which children have ended, and obeys requests to cancel. If a scheduler runs, which does all that by itself, the
// error is a *vfs.LockedError. A Scheduler that has tidied cannot Run.
func (s *Scheduler) Tidy() error {
	unlock, err := vfs.Lock(s.cfg.FS, ".")
	if err != nil {
		return err
	}
	defer unlock()
	defer close(s.done)
	if err = s.recover(); err == nil {
		now := time.Now()
		if err = s.accept(now); err == nil {
			err = s.cancelRequested(now)
		}
	}
	if err != nil {
		return fmt.Errorf("queue %s: %w", s.cfg.FS.Path("."), err)
	}
	return nil
}

// step accepts, cancels, enforces time limits and places, and returns when to do so again.
func (s *Scheduler) step(ctx context.Context) (wake time.Time, err error) {
	now := time.Now()
	if err := s.accept(now); err != nil {
		return wake, err
	}
	if err := s.cancelRequested(now); err != nil {
		return wake, err
	}
	wake = now.Add(s.cfg.Poll)
	for _, j := range s.in(Running) {
		next, err := s.enforce(j, now)
		if err != nil {
			return wake, err
		}
		if !next.IsZero() && next.Before(wake) {
			wake = next
		}
	}
	if err := s.place(now); err != nil {
		return wake, err
	}
	for _, j := range s.in(Pending) {
		if j.NotBefore.After(now) && j.NotBefore.Before(wake) {
			wake = j.NotBefore
		}
	}
	s.planNext(ctx, now)
	return wake, nil
}

// in returns the jobs in a state, sorted by id, so that everything happens in one order.
func (s *Scheduler) in(state State) []*Job {
	var out []*Job
	for _, j := range s.jobs {
		if j.State == state {
			out = append(out, j)
		}
	}
	slices.SortFunc(out, func(a, b *Job) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// accept moves the inbox to pending.
func (s *Scheduler) accept(now time.Time) error {
	arrived, problems := s.queue.list(Inbox)
	for _, p := range problems {
		s.problem(p)
	}
	for i := range arrived {
		j := &arrived[i]
		if _, known := s.jobs[j.ID]; known {
			s.problem(fmt.Errorf("job %s was submitted twice: the second waits in the inbox", j.ID))
			continue
		}
		j.Since = now
		if err := s.queue.move(j, Pending); err != nil {
			return err
		}
		s.jobs[j.ID] = j
		event(s.cfg.Events.Accepted, j)
	}
	return nil
}

// cancelRequested obeys the files in cancel/.
func (s *Scheduler) cancelRequested(now time.Time) error {
	for _, id := range s.queue.cancelRequests() {
		j := s.jobs[id]
		switch {
		case j == nil:
			s.queue.forgetCancel(id) // done, or never there
		case j.State == Pending:
			if err := s.finish(j, Cancelled, -1, "cancelled before it ran again", now); err != nil {
				return err
			}
		case j.Stop != StopCancel:
			if err := s.stop(j, StopCancel, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// enforce stops a job whose time is over and kills one that does not stop; it returns when to look again.
func (s *Scheduler) enforce(j *Job, now time.Time) (next time.Time, err error) {
	if j.Stop != "" {
		deadline := j.StopAt.Add(j.StopDuration)
		if now.Before(deadline) {
			return deadline, nil
		}
		if p := s.procs[j.ID]; p != nil {
			p.Kill()
			event(s.cfg.Events.Killed, j)
		}
		return now.Add(time.Minute), nil
	}
	if j.MaxDuration > 0 {
		end := j.Since.Add(j.MaxDuration - j.Ran)
		if now.Before(end) {
			return end, nil
		}
		return now.Add(j.StopDuration), s.stop(j, StopTime, now)
	}
	return time.Time{}, nil
}

// stop notes why, durably, then tells the process.
func (s *Scheduler) stop(j *Job, why StopReason, now time.Time) error {
	if j.Stop == "" {
		j.StopAt = now
	}
	j.Stop = why
	if err := s.queue.write(j); err != nil {
		return err
	}
	if p := s.procs[j.ID]; p != nil {
		p.Stop()
	}
	event(s.cfg.Events.Stopping, j)
	return nil
}

// place starts what can start and stops what must make room.
func (s *Scheduler) place(now time.Time) error {
	start, preempt := decide(now, s.in(Pending), s.in(Running), s.cfg.Devices, s.survey(), s.cfg.Aging)
	for _, victim := range preempt {
		if err := s.stop(victim, StopPreempt, now); err != nil {
			return err
		}
	}
	for _, p := range start {
		if err := s.start(p.job, p.device, now); err != nil {
			return err
		}
	}
	return nil
}

// survey reads the devices if a job waits for one, and tells of those that begin or cease to be refused.
func (s *Scheduler) survey() map[string]Reading {
	if s.cfg.Survey == nil || len(s.in(Pending)) == 0 {
		return nil
	}
	readings := s.cfg.Survey()
	for _, d := range s.cfg.Devices {
		why := readings[d.Name].Refused
		if was := s.refused[d.Name]; why != was && why != "" {
			s.problem(fmt.Errorf("no job is started on %s: %s", d.Name, why))
		}
		s.refused[d.Name] = why
	}
	return readings
}

// start begins an attempt. The job is in running/ before its child exists, so that a successor looks for the child; and
// the child carries the attempt's marker, so that the successor finds it even if its process id was never written.
func (s *Scheduler) start(j *Job, device string, now time.Time) error {
	cmd, err := s.cfg.Command(j.with(device))
	if err != nil {
		return s.finish(j, Failed, -1, err.Error(), now)
	}
	j.Waited += now.Sub(j.Since)
	j.Since, j.NotBefore = now, time.Time{}
	j.Attempt++
	j.Device, j.Mark = device, s.cfg.Progress(*j)
	j.Process, j.Stop, j.StopAt = ProcessID{}, "", time.Time{}
	if err := s.queue.move(j, Running); err != nil {
		return err
	}
	cmd.Marker = j.marker()
	if cmd.Log == "" {
		cmd.Log = s.cfg.FS.Path(j.LogName())
	}
	p, err := s.cfg.Launcher.Start(cmd)
	if err != nil {
		s.problem(fmt.Errorf("job %s cannot be started: %w", j.ID, err))
		return s.retry(j, "cannot be started: "+err.Error(), -1, true, now)
	}
	j.Process = p.ID()
	s.watch(j, p)
	if err := s.queue.write(j); err != nil {
		return err
	}
	event(s.cfg.Events.Started, j)
	return nil
}

func (j *Job) with(device string) Job {
	c := *j
	c.Device, c.Attempt = device, j.Attempt+1
	return c
}

// marker names the attempt in its child's environment.
func (j *Job) marker() string {
	return fmt.Sprintf("%s.%d.%d", j.ID, j.Attempt, j.Submitted.UnixNano())
}

// watch waits for a child's end beside the scheduler.
func (s *Scheduler) watch(j *Job, p Process) {
	s.procs[j.ID] = p
	e := childExit{id: j.ID, attempt: j.Attempt}
	go func() {
		select {
		case e.exit = <-p.Done():
		case <-s.done:
			return
		}
		select {
		case s.exits <- e:
		case <-s.done:
		}
	}()
}

// planNext asks for the demand of the first job in order that has none.
func (s *Scheduler) planNext(ctx context.Context, now time.Time) {
	if s.planning != "" {
		return
	}
	var first *Job
	for _, j := range s.in(Pending) {
		if j.Demand == nil && !j.NotBefore.After(now) && (first == nil || before(j, first, now, s.cfg.Aging) < 0) {
			first = j
		}
	}
	if first == nil {
		return
	}
	s.planning = first.ID
	result, job := planResult{id: first.ID}, *first
	go func() {
		result.demand, result.err = s.cfg.Plan(ctx, job)
		select {
		case s.plans <- result:
		case <-s.done:
		}
	}()
}

// planned takes in the answer.
func (s *Scheduler) planned(p planResult) error {
	s.planning = ""
	now := time.Now()
	j := s.jobs[p.id]
	if j == nil || j.State != Pending {
		return nil // cancelled meanwhile
	}
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(p.err, &coded) && coded.ExitCode() == ExitRecipe:
		return s.finish(j, Failed, ExitRecipe, p.err.Error(), now)
	case p.err != nil:
		return s.retry(j, "cannot be planned: "+p.err.Error(), -1, true, now)
	}
	if ok, most := fitsAnywhere(s.cfg.Devices, p.demand); !ok {
		return s.finish(j, Failed, ExitRecipe, tooLarge(p.demand, most), now)
	}
	j.Demand = &p.demand
	if err := s.queue.write(j); err != nil {
		return err
	}
	event(s.cfg.Events.Planned, j)
	return nil
}

func tooLarge(d Demand, most int64) string {
	const gib = 1 << 30
	if most == 0 {
		return fmt.Sprintf("no device %q on this machine – nothing was started", d.Device)
	}
	return fmt.Sprintf("%.2f GiB needed, %.2f GiB on the largest device – nothing was started; see forja plan",
		float64(d.Bytes)/gib, float64(most)/gib)
}

func event(f func(Job), j *Job) {
	if f != nil {
		f(*j)
	}
}

// problem reports each problem once.
func (s *Scheduler) problem(err error) {
	if text := err.Error(); s.cfg.Events.Problem != nil && !s.seen[text] {
		s.seen[text] = true
		s.cfg.Events.Problem(err)
	}
}
