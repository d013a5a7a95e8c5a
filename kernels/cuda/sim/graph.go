package sim

// graph is recorded work, and graphExec what can be launched.
type graph struct{ nodes []work }

type graphExec struct{ nodes []work }

func (s *slot) beginCapture(handle, mode uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		q, r := get[stream](m, handle)
		if r != success {
			return r
		}
		if uint32(mode) > 2 {
			return m.say(invalidValue, "capture mode %d", mode)
		}
		if q.record != nil {
			return m.say(illegalState, "the stream records already")
		}
		q.record, q.broken = &graph{}, false
		return success
	})
}

func (s *slot) endCapture(handle uintptr, p *uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		q, r := get[stream](m, handle)
		if r != success {
			return r
		}
		if q.record == nil || p == nil {
			return m.say(illegalState, "the stream does not record")
		}
		g := q.record
		q.record = nil
		if q.broken {
			*p = 0
			return m.say(captureInvalidated, "the stream was waited for while it recorded")
		}
		*p = m.add(g)
		return success
	})
}

func (s *slot) graphGetNodes(handle uintptr, nodes *uintptr, n *uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		g, r := get[graph](m, handle)
		if r != success {
			return r
		}
		if nodes != nil || n == nil {
			return m.say(notSupported, "only the number of nodes is simulated")
		}
		*n = uintptr(len(g.nodes))
		return success
	})
}

func (s *slot) graphInstantiate(p *uintptr, handle, flags uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		g, r := get[graph](m, handle)
		if r != success {
			return r
		}
		if p == nil || flags != 0 {
			return m.say(invalidValue, "graph flags %#x", flags)
		}
		*p = m.add(&graphExec{g.nodes})
		return success
	})
}

func (s *slot) graphLaunch(handle, stream uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		g, r := get[graphExec](m, handle)
		if r != success {
			return r
		}
		for _, w := range g.nodes {
			if r := m.push(stream, w); r != success {
				return r
			}
		}
		return success
	})
}

func (s *slot) graphExecDestroy(handle uintptr) uintptr { return destroy[graphExec](s, handle) }
func (s *slot) graphDestroy(handle uintptr) uintptr     { return destroy[graph](s, handle) }

func destroy[T any](s *slot, handle uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		_, r := get[T](m, handle)
		if r == success {
			delete(m.handles, handle)
		}
		return r
	})
}
