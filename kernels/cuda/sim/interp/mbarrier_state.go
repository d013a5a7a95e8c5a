package interp

import "fmt"

// maxCount bounds the counts of an mbarrier (PTX ISA, "Contents of the mbarrier object").
const maxCount = 1<<20 - 1

// mbarrier is the state of an mbarrier object: its current phase completes when no arrivals and no bytes are pending.
type mbarrier struct {
	at       uint32 // offset in the shared memory of its block
	phase    uint32 // number of completed phases
	expected int    // arrivals of every phase
	pending  int    // arrivals still missing in this phase
	tx       int    // bytes still expected in this phase; negative while copies are ahead of expect_tx
	observed bool   // a wait has returned true for the last completed phase
	barrierSync
}

// newMbarrier is mbarrier.init.
func newMbarrier(at uint32, count int) (*mbarrier, error) {
	if count < 1 || count > maxCount {
		return nil, fmt.Errorf("mbarrier at shared %#x: %d expected arrivals, not 1 to %d", at, count, maxCount)
	}
	return &mbarrier{at: at, expected: count, pending: count, observed: true}, nil
}

func (m *mbarrier) String() string {
	return fmt.Sprintf("mbarrier at shared %#x (phase %d, parity %d: %d of %d arrivals and %d bytes pending)",
		m.at, m.phase, m.phase&1, m.pending, m.expected, m.tx)
}

// arrive is the arrive-on operation; it tells whether the phase completed.
func (m *mbarrier) arrive(n int) (bool, error) {
	switch {
	case n < 1 || n > maxCount:
		return false, fmt.Errorf("%v: arrival count %d is not 1 to %d", m, n, maxCount)
	case n > m.pending:
		return false, fmt.Errorf("%v: %d arrivals are more than are pending", m, n)
	case !m.observed:
		return false, fmt.Errorf("%v: arrival in a phase before any wait has seen the phase before it complete", m)
	}
	m.pending -= n
	return m.complete(), nil
}

// drop is arrive_drop: the arrival is missing in all later phases too.
func (m *mbarrier) drop(n int) (bool, error) {
	if n < 1 || n > m.expected {
		return false, fmt.Errorf("%v: dropping %d of %d arrivals", m, n, m.expected)
	}
	m.expected -= n
	done, err := m.arrive(n)
	return done, err
}

// expect is the expect-tx operation.
func (m *mbarrier) expect(bytes int) error {
	if bytes < 0 || bytes > maxCount || m.tx+bytes > maxCount {
		return fmt.Errorf("%v: expecting %d more bytes: the count ends at %d", m, bytes, maxCount)
	}
	m.tx += bytes
	return nil
}

// transact is the complete-tx operation of bytes that were requested in the given phase; it tells whether the phase completed.
func (m *mbarrier) transact(bytes int, phase uint32) (bool, error) {
	if phase != m.phase {
		return false, fmt.Errorf("%v: %d bytes of a copy issued in phase %d arrive after that phase completed: it expected too few bytes", m, bytes, phase)
	}
	if bytes < 0 || m.tx-bytes < -maxCount {
		return false, fmt.Errorf("%v: completing %d bytes: the count ends at -%d", m, bytes, maxCount)
	}
	m.tx -= bytes
	return m.complete(), nil
}

// complete starts the next phase if this one is over.
func (m *mbarrier) complete() bool {
	if m.pending != 0 || m.tx != 0 {
		return false
	}
	m.phase++
	m.pending = m.expected
	m.observed = false
	return true
}

// waitParity tells whether the phase of this parity has completed: the current one has not, the one before it has.
func (m *mbarrier) waitParity(parity uint32) bool {
	done := m.phase&1 != parity&1
	if done {
		m.observed = true
	}
	return done
}

// token is what arrive returns: the phase that it arrived in.
func (m *mbarrier) token() uint64 { return 1<<63 | uint64(m.at)<<32 | uint64(m.phase) }

// waitToken is waitParity for a token.
func (m *mbarrier) waitToken(t uint64) (bool, error) {
	switch phase := uint32(t); {
	case t>>63 != 1 || uint32(t>>32)&0x7fffffff != m.at:
		return false, fmt.Errorf("%v: %#x is no state that an arrival at it returned", m, t)
	case phase == m.phase:
		return false, nil
	case phase+1 == m.phase:
		m.observed = true
		return true, nil
	default:
		return false, fmt.Errorf("%v: waiting for phase %d: neither the current nor the one before it", m, phase)
	}
}
