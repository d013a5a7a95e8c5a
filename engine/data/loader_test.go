package data

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPermutationVisitsEveryNumberOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 3000).Draw(t, "n")
		p := Permute(n, rapid.Uint64().Draw(t, "key"))
		seen := make([]bool, n)
		for i := range n {
			at := p.At(i)
			require.False(t, seen[at])
			seen[at] = true
		}
	})
}

func TestPermutationLooksShuffled(t *testing.T) {
	const n = 10_000
	p, q := Permute(n, 1), Permute(n, 2)
	var sum, same, next float64
	for i := range uint64(n) {
		sum += float64(i) * float64(p.At(i))
		if p.At(i) == q.At(i) {
			same++
		}
		if i > 0 && p.At(i) == p.At(i-1)+1 {
			next++
		}
	}
	mean := (n - 1) / 2.0
	correlation := (sum/n - mean*mean) / ((n*n - 1) / 12.0)
	require.Less(t, math.Abs(correlation), 5/math.Sqrt(n)) // five standard errors
	require.Less(t, same, 10.0)                            // Poisson with mean 1
	require.Less(t, next, 10.0)
}

func TestRowsShowDocumentsApart(t *testing.T) {
	set := buildSet(t, BuildOptions{Format: byteFormat(-1, endID)}, "abc", "de")
	l, err := NewSequential(set, 4)
	require.NoError(t, err)
	require.Equal(t, uint64(2), l.Samples())
	b := NewBatch(2, 4)
	require.NoError(t, l.Fill(b, 0))
	require.Equal(t, []int32{'a', 'b', 'c', endID, 'd', 'e', endID, endID}, b.Tokens)
	require.Equal(t, []int32{'b', 'c', endID, NoTarget, 'e', endID, NoTarget, NoTarget}, b.Targets)
	require.Equal(t, []float32{1, 1, 1, 0, 1, 1, 0, 0}, b.Mask)
	require.Equal(t, []int32{0, 1, 2, 3, 0, 1, 2, 0}, b.Positions)
	require.Equal(t, []int32{0, 0, 0, 0, 0, 0, 0, 3}, b.Lo)
	require.Equal(t, 5, b.Count)
	require.Equal(t, 3.0, b.Bytes) // b, c and e
	require.ErrorIs(t, l.Fill(b, 2), io.EOF)

	l, err = NewSequential(set, 7)
	require.NoError(t, err)
	b = NewBatch(1, 7)
	require.NoError(t, l.Fill(b, 0))
	require.Equal(t, []int32{0, 0, 0, 0, 4, 4, 4}, b.Lo)
	require.Equal(t, []int32{0, 1, 2, 3, 0, 1, 2}, b.Positions)
}

// drawSet makes a random set and a loader for it.
func drawSet(t *testing.T, rt *rapid.T) (*Set, []string) {
	docs := rapid.SliceOfN(rapid.StringN(1, 30, 60), 1, 12).Draw(rt, "docs")
	format := byteFormat(
		int32(rapid.SampledFrom([]int{-1, beginID}).Draw(rt, "begin")),
		int32(rapid.SampledFrom([]int{-1, endID}).Draw(rt, "end")))
	return buildSet(t, BuildOptions{Format: format, ShardTokens: rapid.IntRange(1, 200).Draw(rt, "shard")}, docs...), docs
}

func TestEveryTokenIsATargetOrAFirstTokenOncePerEpoch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set, docs := drawSet(t, rt)
		length := rapid.IntRange(1, 50).Draw(rt, "length")
		l, err := NewLoader(set, length, rapid.Uint64().Draw(rt, "seed"))
		require.NoError(rt, err)
		epoch := rapid.Uint64Range(0, 3).Draw(rt, "epoch")
		b := NewBatch(1, length)
		pairs := map[[2]int32]int{}
		count, bytes := 0, 0.0
		for i := range l.Samples() {
			require.NoError(rt, l.Fill(b, epoch*l.Samples()+i))
			count += b.Count
			bytes += b.Bytes
			for t := range length {
				require.Equal(rt, b.Targets[t] != NoTarget, b.Mask[t] == 1)
				require.Equal(rt, int32(t)-b.Lo[t], b.Positions[t])
				if b.Targets[t] != NoTarget {
					pairs[[2]int32{b.Tokens[t], b.Targets[t]}]++
					if t+1 < length && b.Lo[t+1] <= int32(t) { // else padding follows
						require.Equal(rt, b.Targets[t], b.Tokens[t+1])
						require.Equal(rt, b.Lo[t], b.Lo[t+1])
					}
				}
			}
		}
		want := map[[2]int32]int{}
		wantBytes := 0.0
		for _, doc := range docs {
			var ids []int32
			if set.Begin >= 0 {
				ids = append(ids, set.Begin)
			}
			ids = byteEncoder{}.EncodeTo(ids, doc)
			if set.End >= 0 {
				ids = append(ids, set.End)
			}
			for i := range len(ids) - 1 {
				want[[2]int32{ids[i], ids[i+1]}]++
			}
			wantBytes += float64(len(doc))
			if set.Begin < 0 {
				wantBytes-- // the first byte has nothing to be predicted from
			}
		}
		require.Equal(rt, want, pairs)
		require.Equal(rt, int(set.Tokens)-len(docs), count)
		require.InDelta(rt, wantBytes, bytes, 1e-6)
	})
}

func TestSamplesDoNotDependOnTheBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set, _ := drawSet(t, rt)
		l, err := NewLoader(set, rapid.IntRange(1, 20).Draw(rt, "length"), 3)
		require.NoError(rt, err)
		first := rapid.Uint64Range(0, 1<<40).Draw(rt, "first")
		big, small := NewBatch(6, l.Length()), NewBatch(2, l.Length())
		require.NoError(rt, l.Fill(big, first))
		count, bytes := 0, 0.0
		for i := range 3 {
			require.NoError(rt, l.Fill(small, first+uint64(2*i)))
			part := func(s []int32) []int32 { return s[2*i*l.Length() : 2*(i+1)*l.Length()] }
			require.Equal(rt, part(big.Tokens), small.Tokens)
			require.Equal(rt, part(big.Targets), small.Targets)
			require.Equal(rt, part(big.Lo), small.Lo)
			require.Equal(rt, part(big.Positions), small.Positions)
			count, bytes = count+small.Count, bytes+small.Bytes
		}
		require.Equal(rt, big.Count, count)
		require.InDelta(rt, big.Bytes, bytes, 1e-9)
	})
}

func TestSeedsAndEpochsGiveOtherOrders(t *testing.T) {
	set := buildSet(t, BuildOptions{Format: byteFormat(-1, endID)}, strings.Repeat("abcdefghij", 100))
	epoch := func(seed, epoch uint64) []int32 {
		l, err := NewLoader(set, 10, seed)
		require.NoError(t, err)
		b := NewBatch(int(l.Samples()), 10)
		require.NoError(t, l.Fill(b, epoch*l.Samples()))
		return b.Tokens
	}
	require.Equal(t, epoch(1, 0), epoch(1, 0))
	require.NotEqual(t, epoch(1, 0), epoch(1, 1))
	require.NotEqual(t, epoch(1, 0), epoch(2, 0))
}

func TestPrefetchGivesTheBatchesOfFill(t *testing.T) {
	set := buildSet(t, BuildOptions{Format: byteFormat(-1, endID)}, strings.Repeat("abcdefghij", 30))
	l, err := NewLoader(set, 8, 5)
	require.NoError(t, err)
	want, n := NewBatch(2, 8), 0
	for b, err := range Prefetch(context.Background(), l, 4, 2, 3) {
		require.NoError(t, err)
		require.NoError(t, l.Fill(want, uint64(4+2*n)))
		require.Equal(t, want, b)
		if n++; n == 50 {
			break
		}
	}

	val, err := NewSequential(set, 8)
	require.NoError(t, err)
	count := 0
	for b, err := range Prefetch(context.Background(), val, 0, 3, 2) {
		require.NoError(t, err)
		count += b.Count
	}
	require.Equal(t, int(set.Tokens)-1, count)
}

// failsAt is a source that cannot read one sample.
type failsAt struct {
	Source
	sample uint64
}

func (f failsAt) Fill(b *Batch, first uint64) error {
	if first == f.sample {
		return errors.New("disk on fire")
	}
	return f.Source.Fill(b, first)
}

func TestPrefetchStopsOnErrorsAndCancellation(t *testing.T) {
	set := buildSet(t, BuildOptions{Format: byteFormat(-1, endID)}, strings.Repeat("abcdefghij", 30))
	l, err := NewLoader(set, 8, 5)
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	n := 0
	for b, err := range Prefetch(ctx, l, 0, 1, 2) {
		if n++; n == 3 {
			cancel(errors.New("interrupted"))
		}
		if n == 4 {
			require.Nil(t, b)
			require.EqualError(t, err, "interrupted")
		}
	}
	require.Equal(t, 4, n)

	n = 0
	for b, err := range Prefetch(context.Background(), failsAt{l, 2}, 0, 1, 2) {
		if n++; n == 3 {
			require.Nil(t, b)
			require.EqualError(t, err, "disk on fire")
		}
	}
	require.Equal(t, 3, n)
}

func TestFillAllocatesLittle(t *testing.T) {
	set := buildSet(t, BuildOptions{Format: byteFormat(-1, endID)}, slices.Repeat([]string{strings.Repeat("abcdefghij", 9)}, 50)...)
	l, err := NewLoader(set, 256, 1)
	require.NoError(t, err)
	b := NewBatch(8, 256)
	sample := uint64(0)
	require.LessOrEqual(t, testing.AllocsPerRun(20, func() {
		require.NoError(t, l.Fill(b, sample))
		sample += 8
	}), 40.0)
}

func BenchmarkFill(bench *testing.B) {
	set := buildSet(bench, BuildOptions{Format: byteFormat(-1, endID)}, slices.Repeat([]string{strings.Repeat("abcdefghij", 200)}, 5000)...)
	l, err := NewLoader(set, 1024, 1)
	require.NoError(bench, err)
	b := NewBatch(8, 1024)
	sample := uint64(0)
	for bench.Loop() {
		if err := l.Fill(b, sample); err != nil {
			bench.Fatal(err)
		}
		sample += 8
	}
	bench.ReportMetric(float64(bench.N)*8*1024/bench.Elapsed().Seconds(), "tok/s")
}
