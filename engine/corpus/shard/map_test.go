package shard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

// upper makes .out files of .in files in capitals; documents are lines, empty ones are dropped.
func upper(in, out store.Store, share shard.Share) *shard.Map {
	return &shard.Map{Step: "upper", Settings: map[string]int{"size": 1}, In: in, Out: out, Share: share, Ending: ".out",
		Stem: func(name string) (string, bool) { return strings.CutSuffix(name, ".in") },
		Do: func(_ context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			for i, line := range bytes.Split(b, []byte("\n")) {
				report.Read.Add(len(line))
				if len(line) == 0 {
					report.Drop("empty", fmt.Sprintf("%s:%d", in.Name, i), 0)
					continue
				}
				report.Kept.Add(len(line))
				if _, err := w.Write(append(bytes.ToUpper(line), '\n')); err != nil {
					return err
				}
			}
			return nil
		}}
}

func inputs(t *testing.T, n int) store.Store {
	s := store.In(vfs.NewMem())
	for i := range n {
		require.NoError(t, store.WriteFile(t.Context(), s, fmt.Sprintf("d%d/f%d.in", i%3, i), fmt.Appendf(nil, "text %d\n\nmore", i)))
	}
	require.NoError(t, store.WriteFile(t.Context(), s, "notes", []byte("no input")))
	return s
}

func contents(t *testing.T, s store.Store) map[string]string {
	files, err := s.List(t.Context())
	require.NoError(t, err)
	all := map[string]string{}
	for _, f := range files {
		if !strings.HasPrefix(f.Name, "_done/") { // which say how long it took
			b, err := store.ReadFile(t.Context(), s, f.Name, 1<<20)
			require.NoError(t, err)
			all[f.Name] = string(b)
		}
	}
	return all
}

func TestSharesTogetherDoTheWholeWork(t *testing.T) {
	in, whole, parts := inputs(t, 20), store.In(vfs.NewMem()), store.In(vfs.NewMem())
	want, err := upper(in, whole, shard.All).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, shard.Count{Documents: 60, Bytes: 20*4 + 20*5 + 10 + 20}, want.Read)
	assert.Equal(t, int64(40), want.Kept.Documents)
	require.Len(t, want.Dropped, 1)
	assert.Equal(t, []string{"d0/f0.in:1", "d0/f12.in:1", "d0/f15.in:1"}, want.Dropped[0].Samples)

	for _, i := range []int{2, 0, 3} {
		_, err := upper(in, parts, shard.Share{Index: i, Of: 4}).Run(t.Context())
		require.NoError(t, err)
	}
	_, err = upper(in, parts, shard.All).Finished(t.Context())
	require.ErrorContains(t, err, "5 of 20 files")
	_, err = upper(in, parts, shard.Share{Index: 1, Of: 4}).Run(t.Context())
	require.NoError(t, err)
	got, err := upper(in, parts, shard.All).Finished(t.Context())
	require.NoError(t, err)
	got.Seconds = want.Seconds
	assert.Equal(t, want, got)
	assert.Equal(t, contents(t, whole), contents(t, parts))
}

func TestFilesThatAreDoneAreNotDoneAgain(t *testing.T) {
	in, out := inputs(t, 5), store.In(vfs.NewMem())
	m, calls := upper(in, out, shard.All), 0
	do := m.Do
	m.Do = func(ctx context.Context, f store.File, r io.Reader, w io.Writer, report *shard.Report) error {
		if calls++; calls == 3 {
			_, _ = io.WriteString(w, "half of it")
			return errors.New("broken")
		}
		return do(ctx, f, r, w, report)
	}
	_, err := m.Run(t.Context())
	require.ErrorContains(t, err, "broken")
	assert.Len(t, contents(t, out), 2)
	sum, err := m.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 6, calls)
	assert.Equal(t, 5, sum.Files)
}

func TestAFileThatIsGoneIsMadeAgainWhateverItsMarkerSays(t *testing.T) {
	in, out := inputs(t, 3), store.In(vfs.NewMem())
	m := upper(in, out, shard.All)
	_, err := m.Run(t.Context())
	require.NoError(t, err)
	want := contents(t, out)
	require.NoError(t, out.Remove(t.Context(), "d1/f1.out"))
	_, err = m.Finished(t.Context())
	require.ErrorContains(t, err, "d1/f1.in")
	sum, err := m.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, sum.Files)
	assert.Equal(t, want, contents(t, out))
}

func TestOtherSettingsAndOtherInputsAreRefused(t *testing.T) {
	in, out := inputs(t, 2), store.In(vfs.NewMem())
	m := upper(in, out, shard.All)
	_, err := m.Run(t.Context())
	require.NoError(t, err)
	m.Settings = map[string]int{"size": 2}
	_, err = m.Run(t.Context())
	require.ErrorIs(t, err, shard.ErrSettings)

	require.NoError(t, store.WriteFile(t.Context(), in, "d0/f0.in", []byte("changed")))
	_, err = upper(in, out, shard.All).Run(t.Context())
	require.ErrorContains(t, err, "remove")
}

func TestInputsMustNotShareAnOutput(t *testing.T) {
	in := inputs(t, 1)
	m := upper(in, store.In(vfs.NewMem()), shard.All)
	m.Stem = func(string) (string, bool) { return "same", true }
	_, err := m.Run(t.Context())
	require.ErrorContains(t, err, "both")
}

// Whatever operation the machine loses power at, starting again gives what an undisturbed run gives.
func TestPowerLossAtAnyMomentLosesAndDoublesNothing(t *testing.T) {
	in, whole := inputs(t, 3), store.In(vfs.NewMem())
	_, err := upper(in, whole, shard.All).Run(t.Context())
	require.NoError(t, err)
	want := contents(t, whole)
	broken := errors.New("power")
	for n := 0; ; n++ {
		mem := vfs.NewMem()
		mem.Hook = vfs.FailNth(n, broken)
		_, err := upper(in, store.In(mem), shard.All).Run(t.Context())
		if err == nil {
			require.Greater(t, n, 20)
			return
		}
		require.ErrorIs(t, err, broken)
		for _, keep := range []float64{0, 0.5, 1} {
			after := store.In(mem.Crash(random(uint64(n)), keep))
			_, err = upper(in, after, shard.All).Run(t.Context())
			require.NoError(t, err, "operation %d", n)
			assert.Equal(t, want, contents(t, after), "operation %d", n)
		}
	}
}

func TestParse(t *testing.T) {
	s, err := shard.Parse("3/8")
	require.NoError(t, err)
	assert.Equal(t, "3/8", s.String())
	for _, bad := range []string{"", "3", "8/8", "-1/8", "a/b", "0/0", "1/2/3"} {
		_, err := shard.Parse(bad)
		assert.Error(t, err, bad)
	}
	assert.True(t, s.Has(11))
	assert.False(t, s.Has(12))
	assert.True(t, shard.Share{}.Has(7), "who names no share means all")
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
