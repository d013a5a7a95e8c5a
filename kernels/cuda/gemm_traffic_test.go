package cuda

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// Tiles move whole sectors and meet no bank conflict, in copies, in fragments and in the epilogue: in every layout, where operands
// are aligned.
func TestTilesWasteNoAccess(t *testing.T) {
	for _, capability := range []int{80, 90} {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		b, err := Open(Options{Simulate: true, Capability: capability, Memory: 64 << 20, Count: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, b.Close()) }()
		r := rand.New(rand.NewPCG(3, 4))
		tiles := tiles80
		if capability == 90 {
			tiles = tiles90
		}
		for i := range tiles {
			tile := &tiles[i]
			if tile.free && !tile.single {
				continue
			}
			kind, out := kernels.BF16, kernels.BF16
			if tile.single {
				kind, out = kernels.F32, kernels.F32
			}
			for l := nt; l <= tn; l++ {
				m, n, k := tile.m*max(tile.cluster, 1), tile.n, 3*tile.k
				x, w := newSheet(t, b, r, kind, 64, m, k), newSheet(t, b, r, kind, 64, n, k)
				if l == tn {
					x = newSheet(t, b, r, kind, 64, k, m)
				}
				if l != nt {
					w = newSheet(t, b, r, kind, 64, k, n)
				}
				y := newSheet(t, b, r, out, 64, m, n)
				b.multiplyAs(&product{layout: l, a: x.t, b: w.t, out: y.t, residual: y.t, m: m, n: n, k: k}, gemmPlan{tile, 1})
				require.NoError(t, b.Sync())
				entry, found := b.table[tile.kernels[l]].entry, false
				for _, s := range b.Machine().Stats() {
					if s.Kernel != entry {
						continue
					}
					c := &s.Counters
					found = true
					require.Zero(t, c.MatrixExtra, "%s: cycles of bank conflicts in %d phases of ldmatrix and stmatrix", entry, c.MatrixPhases)
					require.Equal(t, c.SharedIdeal, c.SharedWavefronts, "%s: cycles of shared memory", entry)
					if tile.hopper {
						require.NotZero(t, c.MatrixPhases, entry)
						continue // the copies are TMA's
					}
					require.Equal(t, c.GlobalBytesRead, 32*c.GlobalLoadSectors, "%s: sectors are read in part", entry)
					require.Equal(t, c.GlobalBytesWritten, 32*c.GlobalStoreSectors, "%s: sectors are written in part", entry)
					require.EqualValues(t, m*n*out.Size(), c.GlobalBytesWritten, entry)
					require.EqualValues(t, (m*k+n*k)*kind.Size()+m*n*out.Size(), c.GlobalBytesRead, entry)
				}
				require.True(t, found, entry)
			}
		}
	}
}
