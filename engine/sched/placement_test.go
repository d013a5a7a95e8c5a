package sched

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// waiting makes a pending job; hours is how long ago it was submitted, all of it spent waiting.
func waiting(id string, priority int, device string, bytes int64, hours float64) *Job {
	at := noon.Add(-time.Duration(hours * float64(time.Hour)))
	return &Job{ID: id, Priority: priority, Demand: &Demand{device, bytes}, Submitted: at, Since: at, State: Pending}
}

func runningOn(id string, priority int, device string, bytes int64) *Job {
	return &Job{ID: id, Priority: priority, Demand: &Demand{device, bytes}, Device: device, Since: noon, State: Running}
}

func show(start []placement, preempt []*Job) string {
	out := ""
	for _, p := range start {
		out += fmt.Sprintf("start %s on %s; ", p.job.ID, p.device)
	}
	for _, v := range preempt {
		out += fmt.Sprintf("stop %s; ", v.ID)
	}
	return out
}

func TestReadingsDecideWhereJobsMayStart(t *testing.T) {
	two := []Device{{Name: "cuda:0", Bytes: 80}, {Name: "cuda:1", Bytes: 40}}
	a := []*Job{waiting("a", 10, "cuda", 30, 0)}
	for _, c := range []struct {
		name     string
		waiting  []*Job
		running  []*Job
		readings map[string]Reading
		want     string
	}{
		{"both are well", a, nil, map[string]Reading{"cuda:0": {Free: 80}, "cuda:1": {Free: 40}}, "start a on cuda:1; "},
		{"one is sick", a, nil, map[string]Reading{"cuda:1": {Free: 40, Refused: "ECC errors"}}, "start a on cuda:0; "},
		{"both are sick", a, nil, map[string]Reading{"cuda:0": {Free: 80, Refused: "lost"}, "cuda:1": {Free: 40, Refused: "lost"}}, ""},
		{"somebody else uses one", a, nil, map[string]Reading{"cuda:1": {Free: 29}}, "start a on cuda:0; "},
		{"one does not say", a, nil, map[string]Reading{"cuda:1": {Free: -1}}, "start a on cuda:1; "},
		{"a job that has not taken its bytes yet", a, []*Job{runningOn("r", 10, "cuda:1", 20)}, map[string]Reading{"cuda:1": {Free: 40}}, "start a on cuda:0; "},
		{"nobody is stopped for a place on a sick device", []*Job{waiting("a", 90, "cuda:1", 30, 0)}, []*Job{runningOn("r", 10, "cuda:1", 30)},
			map[string]Reading{"cuda:1": {Free: 10, Refused: "lost"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, show(decide(noon, c.waiting, c.running, two, c.readings, 1)))
		})
	}
}

func TestDecisions(t *testing.T) {
	one := []Device{{Name: "cuda:0", Bytes: 80}}
	two := []Device{{Name: "cuda:0", Bytes: 80}, {Name: "cuda:1", Bytes: 40}}
	later := waiting("later", 90, "", 1, 0)
	later.NotBefore = noon.Add(time.Second)
	stopping := runningOn("r", 10, "cuda:0", 60)
	stopping.Stop = StopPreempt
	cases := []struct {
		name             string
		devices          []Device
		waiting, running []*Job
		want             string
	}{
		{"higher priority first", one, []*Job{waiting("a", 10, "", 50, 1), waiting("b", 20, "", 50, 0)}, nil, "start b on cuda:0; "},
		{"then the earlier", one, []*Job{waiting("a", 10, "", 50, 0), waiting("b", 10, "", 50, .5)}, nil, "start b on cuda:0; "},
		{"waiting counts a point per hour", one, []*Job{waiting("a", 20, "", 50, 0), waiting("b", 10, "", 50, 11)}, nil, "start b on cuda:0; "},
		{"but never beyond 100", one, []*Job{waiting("a", 100, "", 50, 1), waiting("b", 99, "", 50, .9)}, nil, "start a on cuda:0; "},
		{"the tightest device that fits", two, []*Job{waiting("a", 10, "cuda", 30, 0)}, nil, "start a on cuda:1; "},
		{"both fill up", two, []*Job{waiting("a", 10, "cuda", 30, 1), waiting("b", 10, "cuda", 30, 0)}, nil, "start a on cuda:1; start b on cuda:0; "},
		{"a named device", two, []*Job{waiting("a", 10, "cuda:0", 30, 0)}, nil, "start a on cuda:0; "},
		{"exactly full", one, []*Job{waiting("a", 10, "", 20, 0)}, []*Job{runningOn("r", 10, "cuda:0", 60)}, "start a on cuda:0; "},
		{"a byte too many", one, []*Job{waiting("a", 10, "", 21, 0)}, []*Job{runningOn("r", 10, "cuda:0", 60)}, ""},
		{"the small must not overtake the large", one, []*Job{waiting("large", 10, "", 70, 1), waiting("small", 10, "", 5, 0)},
			[]*Job{runningOn("r", 10, "cuda:0", 60)}, ""},
		{"unless it takes another device", two, []*Job{waiting("large", 10, "", 70, 1), waiting("small", 10, "", 5, 0)},
			[]*Job{runningOn("r", 10, "cuda:0", 60)}, "start small on cuda:1; "},
		{"preempt the lower", one, []*Job{waiting("a", 50, "", 70, 0)}, []*Job{runningOn("r", 10, "cuda:0", 60)}, "stop r; "},
		{"never the equal", one, []*Job{waiting("a", 50, "", 70, 0)}, []*Job{runningOn("r", 50, "cuda:0", 60)}, ""},
		{"not by waiting alone", one, []*Job{waiting("a", 10, "", 70, 60)}, []*Job{runningOn("r", 50, "cuda:0", 60)}, ""},
		{"the lowest is enough", one, []*Job{waiting("a", 50, "", 30, 0)},
			[]*Job{runningOn("r", 20, "cuda:0", 40), runningOn("s", 10, "cuda:0", 40)}, "stop s; "},
		{"no more than needed", two, []*Job{waiting("a", 50, "", 40, 0)},
			[]*Job{runningOn("r", 10, "cuda:0", 40), runningOn("s", 10, "cuda:0", 40), runningOn("u", 10, "cuda:1", 20), runningOn("v", 10, "cuda:1", 20)},
			"stop r; "},
		{"nothing in vain", one, []*Job{waiting("a", 50, "", 70, 0)},
			[]*Job{runningOn("r", 10, "cuda:0", 20), runningOn("s", 90, "cuda:0", 60)}, ""},
		{"wait for who is leaving", one, []*Job{waiting("a", 50, "", 70, 0)}, []*Job{stopping, runningOn("s", 10, "cuda:0", 10)}, ""},
		{"back-off", one, []*Job{later}, nil, ""},
		{"not planned", one, []*Job{{ID: "a", State: Pending}}, nil, ""},
		{"one job at a time", []Device{{Name: "cpu", Bytes: 100, MaxJobs: 1}}, []*Job{waiting("a", 10, "cpu", 1, 0)}, []*Job{runningOn("r", 10, "cpu", 1)}, ""},
		{"no such device", one, []*Job{waiting("a", 10, "cpu", 1, 0)}, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, show(decide(noon, c.waiting, c.running, c.devices, nil, 1)))
		})
	}
}

func drawState(t *rapid.T, devices int) (wait, run []*Job, devs []Device) {
	names := []string{"", "cuda"}
	for i := range devices {
		devs = append(devs, Device{Name: fmt.Sprintf("cuda:%d", i), Bytes: int64(rapid.IntRange(20, 100).Draw(t, "bytes")),
			MaxJobs: rapid.IntRange(0, 3).Draw(t, "slots")})
		names = append(names, devs[i].Name)
	}
	for i, n := 0, rapid.IntRange(0, 6).Draw(t, "running"); i < n; i++ {
		d := devs[rapid.IntRange(0, devices-1).Draw(t, "on")]
		j := runningOn(fmt.Sprintf("r%d", i), rapid.IntRange(0, 100).Draw(t, "priority"), d.Name, int64(rapid.IntRange(1, 40).Draw(t, "need")))
		if rapid.IntRange(0, 4).Draw(t, "stopping") == 0 {
			j.Stop = StopPreempt
		}
		if room := ledger([]Device{d}, nil, append(run, j))[0]; room.free >= 0 && room.slots >= 0 {
			run = append(run, j)
		}
	}
	for i, n := 0, rapid.IntRange(0, 6).Draw(t, "waiting"); i < n; i++ {
		wait = append(wait, waiting(fmt.Sprintf("w%d", i), rapid.IntRange(0, 100).Draw(t, "priority"),
			rapid.SampledFrom(names).Draw(t, "device"), int64(rapid.IntRange(1, 110).Draw(t, "need")), float64(rapid.IntRange(0, 150).Draw(t, "hours"))))
	}
	return wait, run, devs
}

func TestDecisionsKeepTheLedgerAndTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait, run, devs := drawState(t, rapid.IntRange(1, 3).Draw(t, "devices"))
		start, preempt := decide(noon, wait, run, devs, nil, 1)
		after := slices.Clone(run)
		for _, p := range start {
			j := *p.job
			j.Device = p.device
			after = append(after, &j)
			i := slices.IndexFunc(devs, func(d Device) bool { return d.Name == p.device })
			assert.True(t, devs[i].serves(p.job.Demand.Device))
		}
		for _, r := range ledger(devs, nil, after) {
			assert.GreaterOrEqual(t, r.free, int64(0), "memory")
			assert.GreaterOrEqual(t, r.slots, 0, "slots")
		}
		for _, v := range preempt {
			assert.Empty(t, v.Stop, "told to stop once")
			assert.True(t, slices.ContainsFunc(wait, func(j *Job) bool {
				started := slices.ContainsFunc(start, func(p placement) bool { return p.job == j })
				return j.Priority > v.Priority && !started
			}), "a victim needs a waiting job of higher priority")
		}
	})
}

// On one device nobody starts before somebody who comes first and could run there: the stated bound on waiting.
func TestNobodyIsOvertakenOnOneDevice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait, run, devs := drawState(t, 1)
		start, _ := decide(noon, wait, run, devs, nil, 1)
		for _, p := range start {
			for _, j := range wait {
				left := !slices.ContainsFunc(start, func(q placement) bool { return q.job == j })
				fits := j.Demand.Bytes <= devs[0].Bytes
				if left && fits && before(j, p.job, noon, 1) < 0 {
					t.Fatalf("%s starts although %s comes first", p.job.ID, j.ID)
				}
			}
		}
	})
}

// Whoever is preempted does not come back before the one who took its place.
func TestPreemptionDoesNotSwing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait, run, devs := drawState(t, 1)
		now := noon
		for round := 0; round < 30; round++ {
			start, preempt := decide(now, wait, run, devs, nil, 1)
			if len(start) == 0 && len(preempt) == 0 && !slices.ContainsFunc(run, func(j *Job) bool { return j.Stop != "" }) {
				return // at rest
			}
			for _, p := range start {
				p.job.State, p.job.Device, p.job.Waited, p.job.Since = Running, p.device, p.job.Waited+now.Sub(p.job.Since), now
				wait = slices.DeleteFunc(wait, func(j *Job) bool { return j == p.job })
				run = append(run, p.job)
			}
			for _, v := range preempt {
				v.Stop = StopPreempt
			}
			now = now.Add(5 * time.Minute)
			for _, j := range slices.Clone(run) {
				if j.Stop != "" && !slices.Contains(preempt, j) {
					j.State, j.Stop, j.Device, j.Since = Pending, "", "", now
					run = slices.DeleteFunc(run, func(r *Job) bool { return r == j })
					wait = append(wait, j)
				}
			}
		}
		t.Fatal("jobs still change places after 30 rounds")
	})
}
