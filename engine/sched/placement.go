package sched

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Device is memory to place jobs in.
type Device struct {
	Name    string // "cpu", "cuda:0"
	Bytes   int64  // that jobs may use together
	MaxJobs int    // at the same time; 0 is as many as fit
}

// A Reading is what a device says of itself at a moment.
type Reading struct {
	Free    int64  // bytes that nobody uses, jobs of the queue and others alike; negative if it does not say
	Refused string // why no job may start on it; empty if one may
}

// serves reports whether a job that asks for want may run here.
func (d Device) serves(want string) bool {
	kind, _, _ := strings.Cut(d.Name, ":")
	return want == "" || want == "auto" || want == d.Name || want == kind
}

// room is the ledger of one device.
type room struct {
	Device
	free     int64 // bytes nobody uses
	slots    int   // jobs that may be added
	leaving  int64 // bytes of jobs that were told to stop
	leavers  int
	reserved bool // for a job that comes first, or refused
}

func ledger(devices []Device, readings map[string]Reading, running []*Job) []*room {
	var rooms []*room
	for _, d := range devices {
		r := &room{Device: d, free: d.Bytes, slots: d.MaxJobs}
		now, known := readings[d.Name]
		r.reserved = now.Refused != ""
		if d.MaxJobs == 0 {
			r.slots = 1 << 30
		}
		for _, j := range running {
			if j.Device != d.Name {
				continue
			}
			r.free -= j.bytes()
			r.slots--
			if j.Stop != "" {
				r.leaving += j.bytes()
				r.leavers++
			}
		}
		if known && now.Free >= 0 { // others use it too; a job that has just started has not taken its bytes yet
			r.free = min(r.free, now.Free)
		}
		rooms = append(rooms, r)
	}
	return rooms
}

func (j *Job) bytes() int64 {
	if j.Demand == nil {
		return 0
	}
	return j.Demand.Bytes
}

// A placement is a job and where to start it.
type placement struct {
	job    *Job
	device string
}

// decide chooses which waiting jobs to start now and which running ones to stop for them. It changes nothing. Waiting
// jobs that are not planned yet, or whose back-off is not over, take no part.
func decide(now time.Time, waiting, running []*Job, devices []Device, readings map[string]Reading, perHour float64) (start []placement, preempt []*Job) {
	rooms := ledger(devices, readings, running)
	queue := slices.Clone(waiting)
	queue = slices.DeleteFunc(queue, func(j *Job) bool { return j.Demand == nil || j.NotBefore.After(now) })
	slices.SortFunc(queue, func(a, b *Job) int { return before(a, b, now, perHour) })
	doomed := map[*Job]bool{}
	for _, j := range queue {
		if r := bestFit(rooms, j); r != nil {
			r.free -= j.bytes()
			r.slots--
			start = append(start, placement{j, r.Name})
			continue
		}
		// Those who follow must not take what this job waits for.
		if r := soonest(rooms, j); r != nil {
			r.reserved = true
			continue
		}
		r, victims := cheapest(now, rooms, running, doomed, j, perHour)
		if r != nil {
			for _, v := range victims {
				doomed[v] = true
				preempt = append(preempt, v)
			}
			r.reserved = true
			continue
		}
		if r := largest(rooms, j); r != nil {
			r.reserved = true
		}
	}
	return start, preempt
}

// bestFit returns the device that would have the least left.
func bestFit(rooms []*room, j *Job) *room {
	return smallest(rooms, j, func(r *room) (int64, bool) { return r.free, r.free >= j.bytes() && r.slots > 0 })
}

// soonest returns a device on which enough is already being given back.
func soonest(rooms []*room, j *Job) *room {
	return smallest(rooms, j, func(r *room) (int64, bool) {
		return r.leaving, r.leavers > 0 && r.free+r.leaving >= j.bytes() && r.slots+r.leavers > 0
	})
}

// largest returns the device to keep free for a job that must wait for others to end: the one with most to spare.
func largest(rooms []*room, j *Job) *room {
	return smallest(rooms, j, func(r *room) (int64, bool) { return -r.free, r.Bytes >= j.bytes() })
}

// smallest returns the unreserved device that serves j with the smallest score, the first of equals.
func smallest(rooms []*room, j *Job, score func(*room) (int64, bool)) (best *room) {
	var least int64
	for _, r := range rooms {
		if r.reserved || !r.serves(j.Demand.Device) {
			continue
		}
		if s, ok := score(r); ok && (best == nil || s < least) {
			best, least = r, s
		}
	}
	return best
}

// cheapest returns the device on which stopping the fewest jobs of lower priority makes room for j, and those jobs: the
// lowest priority first, and among equals the one that has run for the shortest time.
func cheapest(now time.Time, rooms []*room, running []*Job, doomed map[*Job]bool, j *Job, perHour float64) (best *room, victims []*Job) {
	for _, r := range rooms {
		if r.reserved || !r.serves(j.Demand.Device) || r.Bytes < j.bytes() {
			continue
		}
		var lower []*Job
		for _, v := range running {
			if v.Device == r.Name && v.Stop == "" && !doomed[v] && v.Priority < j.Priority &&
				v.effective(now, perHour) < j.effective(now, perHour) {
				lower = append(lower, v)
			}
		}
		slices.SortFunc(lower, func(a, b *Job) int {
			return cmp.Or(cmp.Compare(a.effective(now, perHour), b.effective(now, perHour)), b.Since.Compare(a.Since),
				strings.Compare(a.ID, b.ID))
		})
		free, slots := r.free+r.leaving, r.slots+r.leavers
		for i := range lower {
			free += lower[i].bytes()
			slots++
			if free >= j.bytes() && slots > 0 {
				if best == nil || i+1 < len(victims) {
					best, victims = r, lower[:i+1]
				}
				break
			}
		}
	}
	return best, victims
}

// fitsAnywhere reports whether any device could ever hold the demand, and the most that one offers.
func fitsAnywhere(devices []Device, d Demand) (ok bool, most int64) {
	for _, dev := range devices {
		if dev.serves(d.Device) {
			most = max(most, dev.Bytes)
			ok = ok || dev.Bytes >= d.Bytes
		}
	}
	return ok, most
}
