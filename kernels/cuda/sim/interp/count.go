package interp

import "math/bits"

// count adds a load or store to the statistics.
func (t *transfer) count(w *warp, m uint32, A *lanes) {
	s := w.u.stats
	first := A[bits.TrailingZeros32(m)&31] + t.off
	switch {
	case first >= sharedBase:
		waves, ideal := wavefronts(m, A, t.off, t.total)
		s.SharedRequests++
		s.SharedWavefronts += int64(waves)
		s.SharedIdeal += int64(ideal)
	case first < paramBase:
		n, bytes := int64(sectors(m, A, t.off, t.total)), int64(bits.OnesCount32(m)*t.total)
		if t.load {
			s.GlobalLoads++
			s.GlobalLoadSectors += n
			s.GlobalBytesRead += bytes
		} else {
			s.GlobalStores++
			s.GlobalStoreSectors += n
			s.GlobalBytesWritten += bytes
		}
	}
}

// sectors is the number of different 32-byte sectors that the lanes of m touch.
func sectors(m uint32, A *lanes, off uint64, n int) int {
	var seen [64]uint64 // an access of up to 32 bytes may span two
	count := 0
	each(m, func(l int) {
		addr := A[l] + off
		for s := addr >> 5; s <= (addr+uint64(n)-1)>>5; s++ {
			known := false
			for i := count - 1; i >= 0 && !known; i-- {
				known = seen[i] == s
			}
			if !known {
				seen[count] = s
				count++
			}
		}
	})
	return count
}

// wavefronts is the number of cycles that an access to shared memory takes, and would take without bank
// conflicts: 32 banks of 4 bytes; lanes that read the same word share a cycle; accesses of 8 and 16
// bytes are made by half and quarter warps.
func wavefronts(m uint32, A *lanes, off uint64, n int) (waves, ideal int) {
	group := 32
	if n > 4 {
		group = 128 / n
	}
	for first := 0; first < 32; first += group {
		part := m >> first & (1<<group - 1)
		if part == 0 {
			continue
		}
		ideal++
		var words [32][]uint64 // of each bank
		worst := 1
		each(part, func(l int) {
			addr := A[first+l] + off
			for at := addr &^ 3; at < addr+uint64(n); at += 4 {
				bank := &words[at>>2&31]
				known := false
				for _, v := range *bank {
					known = known || v == at
				}
				if !known {
					*bank = append(*bank, at)
					worst = max(worst, len(*bank))
				}
			}
		})
		waves += worst
	}
	return waves, ideal
}
