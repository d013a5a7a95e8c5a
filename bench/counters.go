package bench

import (
	"fmt"
	"io"

	"forja/kernels/cuda"
)

// Counters are what a simulated card counted of one kernel while a section ran. Ratios of 1 are the best there is.
type Counters struct {
	Section  string `json:"section"`
	Kernel   string `json:"kernel"`
	Launches int64  `json:"launches"`

	Instructions int64   `json:"instructions"`          // of warps
	BytesRead    int64   `json:"bytes_read"`            // of global memory, by lanes
	BytesWritten int64   `json:"bytes_written"`         // of global memory, by lanes
	Sectors      float64 `json:"sectors_over_ideal"`    // 32-byte sectors touched over those that the bytes fill; 0 if none
	Wavefronts   float64 `json:"wavefronts_over_ideal"` // cycles of shared memory over those without bank conflicts; 0 if none
}

// count reports what was counted since the last time.
func (r *rig) count(section string) {
	b, ok := r.b.(*cuda.Backend)
	if !ok || b.Machine() == nil {
		return
	}
	for _, k := range b.Machine().Stats() {
		s := &k.Counters
		c := Counters{Section: section, Kernel: k.Kernel, Launches: int64(k.Launches) - r.counted[k.Kernel].launches}
		if c.Launches == 0 {
			continue
		}
		now := counted{launches: int64(k.Launches), instructions: total(s.Instructions), read: s.GlobalBytesRead, written: s.GlobalBytesWritten,
			sectors: s.GlobalLoadSectors + s.GlobalStoreSectors, wavefronts: s.SharedWavefronts + s.MatrixPhases + s.MatrixExtra,
			ideal: s.SharedIdeal + s.MatrixPhases}
		old := r.counted[k.Kernel]
		if r.counted == nil {
			r.counted = map[string]counted{}
		}
		r.counted[k.Kernel] = now
		c.Instructions = now.instructions - old.instructions
		c.BytesRead, c.BytesWritten = now.read-old.read, now.written-old.written
		if bytes := c.BytesRead + c.BytesWritten; bytes > 0 {
			c.Sectors = float64(now.sectors-old.sectors) * 32 / float64(bytes)
		}
		if ideal := now.ideal - old.ideal; ideal > 0 {
			c.Wavefronts = float64(now.wavefronts-old.wavefronts) / float64(ideal)
		}
		r.Count(c)
	}
}

// counted is what a kernel's counters stood at.
type counted struct{ launches, instructions, read, written, sectors, wavefronts, ideal int64 }

func total(by map[string]int64) (n int64) {
	for _, x := range by {
		n += x
	}
	return n
}

// PrintCountersHeader begins a table of counters.
func PrintCountersHeader(w io.Writer) {
	fmt.Fprintf(w, "  %-44s %8s %12s %12s %12s %8s %10s\n", "kernel", "launches", "warp instr.", "bytes read", "written", "sectors", "wavefronts")
}

// Print writes a row of the table.
func (c Counters) Print(w io.Writer) {
	ratio := func(x float64) string {
		if x == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2fx", x)
	}
	fmt.Fprintf(w, "  %-44s %8d %12d %12d %12d %8s %10s\n", c.Kernel, c.Launches, c.Instructions, c.BytesRead, c.BytesWritten,
		ratio(c.Sectors), ratio(c.Wavefronts))
}
