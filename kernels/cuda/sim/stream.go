package sim

import "time"

// work is something that a stream does later.
type work func(*Machine) result

// stream is a queue of work. Work number i, counted from 1, is done once done >= i.
type stream struct {
	queue  []work
	done   int
	record *graph // what it records instead of queueing, nil if it does not
	broken bool   // the recording is lost
}

// event is a point of a stream.
type event struct {
	timed    bool
	on       *stream // nil if never recorded
	number   int     // of the last work before it
	captured bool    // recorded in a recording
	at       time.Time
}

// queued is the number of the last work of a stream.
func (q *stream) queued() int { return q.done + len(q.queue) }

// push queues work, or records it. A card blocks when about a thousand launches wait; here the oldest is done.
func (m *Machine) push(handle uintptr, w work) result {
	const most = 1024
	q, r := get[stream](m, handle)
	if r != success {
		if handle <= 2 {
			return m.say(invalidHandle, "the default stream is not simulated: name one")
		}
		return r
	}
	if q.record != nil {
		q.record.nodes = append(q.record.nodes, w)
		return success
	}
	q.queue = append(q.queue, w)
	if len(q.queue) > most {
		return m.run(q, q.done+1)
	}
	return success
}

// run does a stream's work up to a number. A failure sticks.
func (m *Machine) run(q *stream, number int) result {
	for q.done < number && m.failed == success {
		w := q.queue[0]
		q.queue = q.queue[1:]
		q.done++
		if r := w(m); r != success && m.failed == success {
			m.failed, m.code = illegalAddress, illegalAddress
		}
	}
	if len(q.queue) == 0 {
		q.queue = nil
	}
	return m.failed
}

// runAll does all work.
func (m *Machine) runAll() result {
	for _, v := range m.inOrder() {
		if q, ok := v.(*stream); ok {
			if q.record != nil {
				q.broken = true
				return m.say(captureUnsupported, "a stream records")
			}
			if r := m.run(q, q.queued()); r != success {
				return r
			}
		}
	}
	return m.failed
}

func (s *slot) streamCreate(p *uintptr, flags uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		if p == nil || uint32(flags) > 1 {
			return m.say(invalidValue, "stream flags %#x", flags)
		}
		*p = m.add(&stream{})
		return success
	})
}

func (s *slot) streamDestroy(handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		q, r := get[stream](m, handle)
		if r != success {
			return r
		}
		delete(m.handles, handle)
		return m.run(q, q.queued())
	})
}

func (s *slot) streamSynchronize(handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		q, r := get[stream](m, handle)
		if r != success {
			return r
		}
		if q.record != nil {
			q.broken = true
			return m.say(captureUnsupported, "the stream records, and its recording is lost")
		}
		return m.run(q, q.queued())
	})
}

func (s *slot) streamWaitEvent(handle, on, flags uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		e, r := get[event](m, on)
		if r != success {
			return r
		}
		q, r := get[stream](m, handle)
		if r != success {
			return r
		}
		other, number := e.on, e.number
		switch {
		case other == nil || other == q:
			return success
		case q.record != nil || e.captured:
			return m.say(notSupported, "recordings of several streams are not simulated")
		}
		return m.push(handle, func(m *Machine) result { return m.run(other, number) })
	})
}

func (s *slot) eventCreate(p *uintptr, flags uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		const disableTiming = 2
		if p == nil || uint32(flags) > 3 {
			return m.say(invalidValue, "event flags %#x", flags)
		}
		*p = m.add(&event{timed: flags&disableTiming == 0})
		return success
	})
}

func (s *slot) eventDestroy(handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		if _, r := get[event](m, handle); r != success {
			return r
		}
		delete(m.handles, handle)
		return success
	})
}

func (s *slot) eventRecord(handle, on uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		e, r := get[event](m, handle)
		if r != success {
			return r
		}
		q, r := get[stream](m, on)
		if r != success {
			return r
		}
		if q.record != nil {
			e.on, e.captured = q, true
			return success
		}
		e.on, e.number, e.captured = q, q.queued()+1, false
		return m.push(on, func(*Machine) result { e.at = time.Now(); return success })
	})
}

// waitable finds an event that a program may wait for.
func (m *Machine) waitable(handle uintptr) (*event, result) {
	e, r := get[event](m, handle)
	if r != success {
		return nil, r
	}
	if e.captured {
		if e.on.record != nil {
			e.on.broken = true
		}
		return nil, m.say(capturedEvent, "it was recorded while its stream recorded")
	}
	return e, success
}

// eventQuery lets the stream do one more piece of work, so that a program that asks again and again gets on.
func (s *slot) eventQuery(handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		e, r := m.waitable(handle)
		if r != success || e.on == nil || e.on.done >= e.number {
			return r
		}
		if r := m.run(e.on, e.on.done+1); r != success {
			return r
		}
		return notReady
	})
}

func (s *slot) eventSynchronize(handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		e, r := m.waitable(handle)
		if r != success || e.on == nil {
			return r
		}
		return m.run(e.on, e.number)
	})
}

func (s *slot) eventElapsedTime(ms *float32, start, end uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		a, r := m.waitable(start)
		if r != success {
			return r
		}
		b, r := m.waitable(end)
		switch {
		case r != success:
			return r
		case ms == nil || !a.timed || !b.timed || a.on == nil || b.on == nil:
			return m.say(invalidHandle, "the events are not timed, or not recorded")
		case a.on.done < a.number || b.on.done < b.number:
			return notReady
		}
		*ms = float32(b.at.Sub(a.at).Seconds() * 1e3)
		return success
	})
}
