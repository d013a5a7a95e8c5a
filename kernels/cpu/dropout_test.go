package cpu

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cpu/tier"
)

func TestPhiloxGivesTheKnownAnswers(t *testing.T) {
	// From the kat_vectors of Random123, philox4x32 with 10 rounds.
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		keys := philoxKeys(c.key)
		var got [4]uint32
		got[0], got[1], got[2], got[3] = philox(c.counter[0], c.counter[1], c.counter[2], c.counter[3], &keys)
		require.Equal(t, c.want, got)
	}
}

func TestRowsOfPhiloxAreTheSameOnEveryInstructionSet(t *testing.T) {
	keys := philoxKeys([2]uint32{0xdeadbeef, 0x12345678})
	for _, level := range tier.All() {
		undo := tier.Set(level)
		for n := range 40 {
			words := make([]uint32, n+1)
			words[n] = 7
			philoxRow(words[:n], 1, 1<<31, 3, 0xfffffff0, &keys) // the last counter wraps around
			for j := range n {
				want, _, _, _ := philox(1, 1<<31, 3, 0xfffffff0+uint32(j), &keys)
				require.Equal(t, want, words[j], "%v: word %d of %d", level, j, n)
			}
			require.Equal(t, uint32(7), words[n])
		}
		undo()
	}
}

func TestDropoutComparesTheFirstWordOfEachElement(t *testing.T) {
	r := newRig(t, 1, kernels.F32)
	x, y, rng := r.fill(r.f32(4, 9), func(int) float64 { return 1 }), r.out(r.f32(4, 9)), r.ints(5, 6, 7, 8)
	r.run(func(k kernels.Backend) { k.Dropout(y, x, rng, 0.5, 3, 2) })
	want, keys := make([]float64, 0, 36), philoxKeys([2]uint32{5, 6})
	for sample := range uint32(2) {
		for element := range uint32(18) {
			word, _, _, _ := philox(7+sample, 8, 3, element, &keys)
			want = append(want, float64(word>>31)*2)
		}
	}
	require.Equal(t, want, values(y))
}

func TestDropoutKeepsAndScales(t *testing.T) {
	r := newRig(t, 2, kernels.F32)
	x, y, rng := r.f32(8, 25, 100), r.out(r.f32(8, 25, 100)), r.ints(11, 22, 33, 44)
	r.run(func(k kernels.Backend) { k.Dropout(y, x, rng, 0.25, 3, 25) })
	a, b, kept := values(x), values(y), 0
	for i := range b {
		if b[i] != 0 {
			kept++
			require.InEpsilon(t, a[i]/0.75, b[i], 1e-6)
		}
	}
	// 20000 draws with a standard deviation of 61.
	require.InDelta(t, 0.75*20000, kept, 5*61)
	r.run(func(k kernels.Backend) { k.Dropout(y, x, rng, 0, 3, 25) })
	require.Equal(t, a, values(y))
}

func TestDropoutDependsOnTheSampleNotTheBatch(t *testing.T) {
	r := newRig(t, 2, kernels.F32)
	x := r.f32(3, 10, 40)
	whole, single := r.out(r.f32(3, 10, 40)), r.out(r.f32(3, 10, 40))
	rng := r.ints(1, 2, -1, 5) // the first sample's successor carries into the high word
	r.run(func(k kernels.Backend) { k.Dropout(whole, x, rng, 0.5, 9, 10) })
	next := r.ints(1, 2, 0, 6)
	rows := func(t kernels.Tensor, s int) kernels.Tensor { return t.RowRange(10*s, 10*s+10) }
	r.run(func(k kernels.Backend) { k.Dropout(rows(single, 0), rows(x, 0), rng, 0.5, 9, 10) })
	r.run(func(k kernels.Backend) { k.Dropout(rows(single, 1), rows(x, 1), next, 0.5, 9, 10) })
	require.Equal(t, values(rows(whole, 0)), values(rows(single, 0)))
	require.Equal(t, values(rows(whole, 1)), values(rows(single, 1)))
	r.run(func(k kernels.Backend) { k.Dropout(single, x, rng, 0.5, 10, 10) })
	require.False(t, bytes.Equal(whole.Buf.(*buffer).mem, single.Buf.(*buffer).mem), "another site draws other numbers")
}
