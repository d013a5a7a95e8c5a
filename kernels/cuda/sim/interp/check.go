package interp

// order is what a warp knows of the order of events, for the checker.
type order struct {
	clocks []uint32 // by warp of the unit: accesses up to this clock of that warp happened before; the own one is now
	epoch  uint32   // own accesses before this clock are ordered for every lane of the warp
}

// checker watches the shared memory of a block.
type checker struct{}

// raceMap watches global memory during a launch.
type raceMap struct{}

func newChecker(*block) *checker               { return &checker{} }
func (h *Heap) newRaces(*Kernel) *raceMap      { return &raceMap{} }
func (w *warp) startOrder()                    {}
func (w *warp) defined(*instr, uint32, uint32) {}

// syncWarp orders what the lanes of this warp did before what they do next.
func (w *warp) syncWarp() {}

// release is what this warp knows now, for those who will wait for it; nil without the checker.
func (w *warp) release() []uint32 { return nil }

// acquire orders everything that a release knew before what this warp does next.
func (w *warp) acquire(clocks []uint32) {}

// joinClocks adds what b knows to a.
func joinClocks(a, b []uint32) []uint32 { return a }

func (w *warp) releaseInto(clocks []uint32) []uint32 { return clocks }

func (t *transfer) check(w *warp, m uint32, A *lanes, s shape)          {}
func (t *transfer) count(w *warp, m uint32, A *lanes)                   {}
func (w *warp) checkAtomic(l int, addr uint64, n int, read, write bool) {}
func (w *warp) releaseFence(m uint32)                                   {}
func (w *warp) observeWord(addr uint64, acquire bool)                       {}
func (w *warp) publishWord(addr uint64, release bool)                       {}
