package interp

import "sync"

// Stats counts what costs time on a GPU. It may be used by several launches at once; read it when they
// have ended.
type Stats struct {
	mu sync.Mutex

	Instructions map[string]int64 // warp instructions by opcode with its modifiers

	GlobalLoads, GlobalLoadSectors      int64 // requests of a warp, and the 32-byte sectors they touch
	GlobalStores, GlobalStoreSectors    int64
	GlobalBytesRead, GlobalBytesWritten int64 // by lanes that take part

	Atomics          int64 // by lane
	SharedRequests   int64 // ld.shared and st.shared of a warp
	SharedWavefronts int64 // cycles they take
	SharedIdeal      int64 // cycles they would take without bank conflicts
	MatrixPhases     int64 // 8-row phases of ldmatrix and stmatrix
	MatrixExtra      int64 // cycles that bank conflicts add to them
}

// add adds other to s.
func (s *Stats) add(other *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Instructions == nil {
		s.Instructions = map[string]int64{}
	}
	for name, n := range other.Instructions {
		s.Instructions[name] += n
	}
	s.GlobalLoads += other.GlobalLoads
	s.GlobalLoadSectors += other.GlobalLoadSectors
	s.GlobalStores += other.GlobalStores
	s.GlobalStoreSectors += other.GlobalStoreSectors
	s.GlobalBytesRead += other.GlobalBytesRead
	s.GlobalBytesWritten += other.GlobalBytesWritten
	s.Atomics += other.Atomics
	s.SharedRequests += other.SharedRequests
	s.SharedWavefronts += other.SharedWavefronts
	s.SharedIdeal += other.SharedIdeal
	s.MatrixPhases += other.MatrixPhases
	s.MatrixExtra += other.MatrixExtra
}

// collect sums the instructions that the warps of a unit ran.
func (k *Kernel) collect(u *unit) {
	u.stats.Instructions = map[string]int64{}
	for _, b := range u.blocks {
		for _, w := range b.warps {
			for i, n := range w.count {
				if n != 0 {
					u.stats.Instructions[k.code[i].name] += n
				}
			}
		}
	}
}
