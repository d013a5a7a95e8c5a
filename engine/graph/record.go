package graph

// A span is a range of a step's launches.
type span struct{ lo, hi int }

// A recording is what a device keeps of a span.
type recording struct {
	runs int // so far, up to two
	id   int // -1: it is not kept
}

// replay runs a span: call by call the first time, when a device loads its kernels; then as one recording, where the
// device keeps some.
func (st *Step) replay(lo, hi int) {
	device := st.s.recorder
	if device == nil || st.dead != nil || lo == hi {
		st.launch(lo, hi)
		return
	}
	r := st.parts[span{lo, hi}]
	if r == nil {
		if st.parts == nil {
			st.parts = map[span]*recording{}
		}
		r = &recording{id: -1}
		st.parts[span{lo, hi}] = r
	}
	if r.runs == 1 {
		st.record(r, lo, hi)
	}
	r.runs = min(r.runs+1, 2)
	if r.id >= 0 {
		device.Replay(r.id)
		return
	}
	st.launch(lo, hi)
}

// record keeps a span. Where that fails the step goes on call by call, and Session.NotRecorded says why.
func (st *Step) record(r *recording, lo, hi int) {
	device := st.s.recorder
	err := device.BeginCapture()
	if err == nil {
		st.launch(lo, hi)
		var id int
		if id, err = device.EndCapture(); err == nil {
			r.id = id
		}
	}
	if err != nil && st.s.notKept == nil {
		st.s.notKept = err
	}
}

// forget frees what the device keeps of a step, whose storage is about to move.
func (st *Step) forget() {
	for _, r := range st.parts {
		if r.id >= 0 {
			st.s.recorder.Forget(r.id)
		}
	}
	clear(st.parts)
}

// NotRecorded is why a step on a device that records is launched call by call, or nil.
func (s *Session) NotRecorded() error { return s.notKept }
