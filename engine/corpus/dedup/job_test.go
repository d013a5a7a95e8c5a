package dedup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

// repetitive are documents of a few lines, of which many are nearly or exactly the same.
func repetitive(n int) (docs []corpus.Document) {
	random := rand.New(rand.NewPCG(3, 4))
	line := func(i int) string {
		words := make([]string, 12)
		for w := range words {
			x := mix(uint64(i*100 + w))
			words[w] = string([]byte{'a' + byte(x%26), 'a' + byte(x>>8%26), 'a' + byte(x>>16%26)})
		}
		return strings.Join(words, " ")
	}
	for i := range n {
		var lines []string
		for l := range 6 {
			lines = append(lines, line(random.IntN(max(2, n/2))*6+l))
		}
		switch {
		case i > 2 && random.IntN(3) == 0:
			lines = strings.Split(docs[random.IntN(i)].Text, "\n")
			lines[len(lines)-1] += strings.Repeat(" changed", random.IntN(3))
		case random.IntN(8) == 0:
			lines = []string{" ", "..."}
		case random.IntN(4) == 0:
			lines[2] = ""
		}
		docs = append(docs, corpus.Document{ID: fmt.Sprint("d", i), Text: strings.Join(lines, "\n"), Lang: "en"})
	}
	docs[n/2].ID = ""
	return docs
}

// filed puts documents into that many files, of sizes that differ, in the order of their names. One is empty.
func filed(t testing.TB, docs []corpus.Document, files int, ending string) store.Store {
	s := store.In(vfs.NewMem())
	for k := range files {
		n := len(docs) / (files - k)
		if k == 1 && files > 2 {
			n = 0
		}
		writeDocuments(t, s, fmt.Sprintf("part%d/%03d%s", k/4, k, ending), docs[:n])
		docs = docs[n:]
	}
	require.Empty(t, docs)
	require.NoError(t, store.WriteFile(t.Context(), s, "README", []byte("no documents")))
	return s
}

func writeDocuments(t testing.TB, s store.Store, name string, docs []corpus.Document) {
	stem, _ := documents.Stem(name)
	require.NoError(t, s.Write(t.Context(), name, func(w io.Writer) error {
		d, err := documents.Create(w, name[len(stem):])
		if err != nil {
			return err
		}
		for _, doc := range docs {
			if err := d.Write(doc); err != nil {
				return err
			}
		}
		return d.Close()
	}))
}

// stored are the documents of all files of a store, in the order of their names.
func stored(t testing.TB, s store.Store) (docs []corpus.Document) {
	files, err := s.List(t.Context())
	require.NoError(t, err)
	for _, f := range files {
		if _, ok := stem(f.Name); !ok {
			continue
		}
		r, err := s.Open(t.Context(), f.Name)
		require.NoError(t, err)
		for d, err := range documents.Read(f.Name, r) {
			require.NoError(t, err)
			docs = append(docs, d)
		}
		require.NoError(t, r.Close())
	}
	return docs
}

// contents are all files but the markers, which say how long it took.
func contents(t testing.TB, s store.Store) map[string]string {
	files, err := s.List(t.Context())
	require.NoError(t, err)
	all := map[string]string{}
	for _, f := range files {
		if !strings.HasPrefix(f.Name, "_done/") {
			b, err := store.ReadFile(t.Context(), s, f.Name, 1<<30)
			require.NoError(t, err)
			all[f.Name] = string(b)
		}
	}
	return all
}

// filtered is what the filters of one stream keep.
func filtered(t testing.TB, docs []corpus.Document, j *Job) (kept []corpus.Document) {
	if j.Exact == "" {
		for doc, first := range clusters(t, jsonl(t, docs), Options{Config: j.Config}) {
			if int(first) == doc {
				kept = append(kept, docs[doc])
			}
		}
		return kept
	}
	seen := NewExact()
	for _, d := range docs {
		if j.Exact == Documents {
			if seen.New(d.Text) {
				kept = append(kept, d)
			}
			continue
		}
		text, removed := seen.Cut(d.Text, j.Exact)
		if removed == 0 || strings.TrimSpace(text) != "" {
			d.Text = text
			kept = append(kept, d)
		}
	}
	return kept
}

// kinds of jobs, for all of which the same holds.
func kinds() map[string]Job {
	unverified := Default()
	unverified.Verify = 0
	return map[string]Job{
		"near": {Config: Default()}, "unverified": {Config: unverified},
		"document": {Exact: Documents}, "paragraph": {Exact: Paragraphs}, "line": {Exact: Lines},
	}
}

func TestAJobKeepsWhatTheFilterOfOneStreamKeeps(t *testing.T) {
	docs := repetitive(400)
	for name, j := range kinds() {
		t.Run(name, func(t *testing.T) {
			want := filtered(t, docs, &j)
			require.Less(t, len(want), len(docs))
			for files, ending := range map[int]string{1: ".jsonl", 9: ".jsonl.zst", 2: ".parquet"} {
				j.In, j.Out, j.Temp, j.Ending = filed(t, docs, files, ending), store.In(vfs.NewMem()), vfs.NewMem(), ending
				sum, err := j.Run(t.Context())
				require.NoError(t, err)
				assert.Equal(t, want, stored(t, j.Out), "%d files", files)
				assert.EqualValues(t, len(docs), sum.Read.Documents)
				assert.EqualValues(t, len(want), sum.Kept.Documents)
				assertEmpty(t, j.Temp)
			}
		})
	}
}

func merged(t testing.TB, j *Job) {
	_, err := j.Merge(t.Context())
	require.NoError(t, err)
}

func assertEmpty(t testing.TB, dir vfs.FS) {
	entries, err := dir.ReadDir(".")
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestSharesWorkersAndMemoryDoNotMatter(t *testing.T) {
	defer goleak.VerifyNone(t)
	docs := repetitive(3000)
	in := filed(t, docs, 8, ".jsonl.gz")
	for name, j := range kinds() {
		t.Run(name, func(t *testing.T) {
			j.In, j.Out, j.Temp, j.Workers = in, store.In(vfs.NewMem()), vfs.NewMem(), 1
			whole, err := j.Run(t.Context())
			require.NoError(t, err)
			want := contents(t, j.Out)

			spilled := 0
			temp := vfs.NewMem()
			temp.Hook = func(op vfs.Op, _ string) error {
				if op == vfs.OpCreate {
					spilled++
				}
				return nil
			}
			j.Out, j.Temp, j.Workers, j.Memory = store.In(vfs.NewMem()), temp, 5, 1
			var sum shard.Report
			for i := range 3 {
				j.Share = shard.Share{Index: i, Of: 3}
				_, err := j.Sign().Run(t.Context())
				require.NoError(t, err)
			}
			merged(t, &j)
			require.Greater(t, spilled, 2)
			assertEmpty(t, j.Temp)
			for i := range 3 {
				j.Share = shard.Share{Index: i, Of: 3}
				remove, err := j.Remove(t.Context())
				require.NoError(t, err)
				r, err := remove.Run(t.Context())
				require.NoError(t, err)
				sum.Add(r)
			}
			assert.Equal(t, want, contents(t, j.Out))
			sum.Seconds = whole.Seconds
			assert.Equal(t, whole, sum)
		})
	}
}

func TestTheSharedSetInSevenFilesIsDeduplicatedAsOneStream(t *testing.T) {
	docs, _ := sharedDocuments(t, "dedup/docs.jsonl.gz", math.MaxInt)
	j := Job{Config: Default(), In: filed(t, docs, 7, ".jsonl.gz"), Out: store.In(vfs.NewMem()), Temp: vfs.NewMem(), Memory: 1}
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	want := filtered(t, docs, &j)
	assert.Equal(t, want, stored(t, j.Out))
	t.Logf("%d of %d documents kept; %v", r.Kept.Documents, r.Read.Documents, r.Dropped)
}

func TestReportsSayWhatIsACopyOfWhat(t *testing.T) {
	text := strings.Repeat("one two three four five six ", 10)
	in := store.In(vfs.NewMem())
	writeDocuments(t, in, "a.jsonl", []corpus.Document{{ID: "first", Text: text}, {ID: "other", Text: "something else"}})
	writeDocuments(t, in, "b.jsonl", []corpus.Document{{ID: "again", Text: text + "seven"}, {Text: text}})
	j := Job{Config: Default(), In: in, Out: store.In(vfs.NewMem()), Temp: vfs.NewMem()}
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Dropped, 1)
	assert.Equal(t, "near duplicate", r.Dropped[0].Reason)
	assert.Equal(t, []string{"again of first", "b.jsonl:2 of first"}, r.Dropped[0].Samples)

	j = Job{Exact: Lines, In: in, Out: store.In(vfs.NewMem()), Temp: vfs.NewMem()}
	r, err = j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"lines removed": 1}, r.Notes)
	assert.Equal(t, []string{"b.jsonl:2"}, r.Dropped[0].Samples)
}

func TestStepsRefuseToRunBeforeTheirTurn(t *testing.T) {
	j := Job{Config: Default(), In: filed(t, repetitive(60), 6, ".jsonl"), Out: store.In(vfs.NewMem()), Temp: vfs.NewMem(), Ending: ".jsonl"}
	remove, err := j.Remove(t.Context())
	require.NoError(t, err)
	_, err = remove.Run(t.Context())
	require.ErrorContains(t, err, "the step merge makes it")
	j.Share = shard.Share{Index: 1, Of: 2}
	_, err = j.Run(t.Context())
	require.ErrorContains(t, err, "share 1/2 of all steps")
	_, err = j.Sign().Run(t.Context())
	require.NoError(t, err)
	_, err = j.Merge(t.Context())
	require.ErrorContains(t, err, "3 of 6 files")
	require.ErrorContains(t, err, "part0/000.jsonl")
}

func TestWhatOtherSettingsOrInputsMadeIsNotUsed(t *testing.T) {
	in := filed(t, repetitive(60), 3, ".jsonl")
	j := Job{Config: Default(), In: in, Out: store.In(vfs.NewMem()), Temp: vfs.NewMem(), Ending: ".jsonl"}
	_, err := j.Sign().Run(t.Context())
	require.NoError(t, err)
	merged(t, &j)

	j.Config.Verify = 0.9 // needs another merge, but not to be signed again
	_, err = j.Sign().Run(t.Context())
	require.NoError(t, err)
	remove, err := j.Remove(t.Context())
	require.NoError(t, err)
	_, err = remove.Run(t.Context())
	require.ErrorContains(t, err, "the step merge makes it again")
	merged(t, &j)
	_, err = j.Run(t.Context())
	require.NoError(t, err)

	other := j
	other.Config.Bands = 5
	_, err = other.Run(t.Context())
	require.ErrorIs(t, err, shard.ErrSettings)
	other = j
	other.Exact = Lines
	_, err = other.Run(t.Context())
	require.ErrorIs(t, err, shard.ErrSettings)

	writeDocuments(t, in, "late.jsonl", repetitive(3))
	_, err = j.Run(t.Context())
	require.ErrorIs(t, err, shard.ErrSettings, "files were made without knowing of the late one")
}

func TestAMergeThatIsDoneIsNotDoneAgain(t *testing.T) {
	mem := vfs.NewMem()
	j := Job{Config: Default(), In: filed(t, repetitive(60), 3, ".jsonl"), Out: store.In(mem), Temp: vfs.NewMem()}
	_, err := j.Sign().Run(t.Context())
	require.NoError(t, err)
	merged(t, &j)
	mem.Hook = func(op vfs.Op, name string) error {
		if op.Writes() {
			return fmt.Errorf("%v of %s", op, name)
		}
		return nil
	}
	merged(t, &j)
}

func TestDamagedListsAreNoticed(t *testing.T) {
	for _, name := range []string{"_keys/part0/000.keys", "_remove/part0/000.removed"} {
		j := Job{Config: Default(), In: filed(t, repetitive(60), 2, ".jsonl"), Out: store.In(vfs.NewMem()), Temp: vfs.NewMem()}
		_, err := j.Sign().Run(t.Context())
		require.NoError(t, err)
		if strings.HasPrefix(name, "_remove") {
			merged(t, &j)
		}
		b, err := store.ReadFile(t.Context(), j.Out, name, 1<<20)
		require.NoError(t, err)
		b[len(b)-20] ^= 1
		require.NoError(t, store.WriteFile(t.Context(), j.Out, name, b))
		_, err = j.Run(t.Context())
		require.Error(t, err, name)
		require.Contains(t, err.Error(), "000", name)
	}
}

// Whatever operation the machine loses power at, in any step, starting again gives what an undisturbed run gives.
func TestPowerLossInAnyStepChangesNothing(t *testing.T) {
	docs := repetitive(20)
	for name, j := range kinds() {
		j.Ending = ".jsonl"
		if name == "unverified" || name == "paragraph" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			j.In, j.Out, j.Temp = filed(t, docs, 3, ".jsonl"), store.In(vfs.NewMem()), vfs.NewMem()
			_, err := j.Run(t.Context())
			require.NoError(t, err)
			want := contents(t, j.Out)
			broken := errors.New("power")
			for n := 0; ; n++ {
				mem := vfs.NewMem()
				mem.Hook = vfs.FailNth(n, broken)
				j.Out, j.Temp = store.In(mem), vfs.NewMem()
				_, err := j.Run(t.Context())
				if err == nil {
					require.Greater(t, n, 60)
					return
				}
				require.ErrorIs(t, err, broken)
				assertEmpty(t, j.Temp)
				for _, keep := range []float64{0, 0.5, 1} {
					j.Out, j.Temp = store.In(mem.Crash(rand.New(rand.NewPCG(uint64(n), 0)), keep)), vfs.NewMem()
					_, err = j.Run(t.Context())
					require.NoError(t, err, "operation %d", n)
					require.Equal(t, want, contents(t, j.Out), "operation %d", n)
				}
			}
		})
	}
}

func TestErrorsOfTemporaryFilesEndAMerge(t *testing.T) {
	docs := repetitive(600)
	for name, j := range kinds() {
		t.Run(name, func(t *testing.T) {
			j.In, j.Out, j.Memory = filed(t, docs, 2, ".jsonl"), store.In(vfs.NewMem()), 1
			_, err := j.Sign().Run(t.Context())
			require.NoError(t, err)
			broken := errors.New("broken")
			for n := 0; ; n += 1 + n/8 {
				temp := vfs.NewMem()
				temp.Hook = vfs.FailNth(n, broken)
				j.Temp = temp
				_, err := j.Merge(t.Context())
				if err == nil {
					require.Positive(t, n)
					return
				}
				require.ErrorIs(t, err, broken)
			}
		})
	}
}

func TestAStoppedJobGoesOn(t *testing.T) {
	defer goleak.VerifyNone(t)
	docs := repetitive(200)
	j := Job{Config: Default(), In: filed(t, docs, 5, ".jsonl"), Out: store.In(vfs.NewMem()), Temp: vfs.NewMem(), Ending: ".jsonl"}
	ctx, cancel := context.WithCancelCause(t.Context())
	sign := j.Sign()
	sign.Progress = func(done, _ int, _ shard.Report) {
		if done == 2 {
			cancel(errors.New("enough"))
		}
	}
	_, err := sign.Run(ctx)
	require.ErrorContains(t, err, "enough")
	_, err = j.Merge(ctx)
	require.Error(t, err)
	_, err = j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, filtered(t, docs, &j), stored(t, j.Out))
}

func TestUnitsWithEqualUpperHalvesOfHashesAreToldApart(t *testing.T) {
	units := newSorter(nil, "hashes", 1<<20, places)
	for unit, lower := range []uint64{5, 6, 5, 7, 6, 6} {
		require.NoError(t, units.add(9, place{lower, uint64(unit)}))
	}
	var got []repeat
	require.NoError(t, sameHashes(&units, func(r repeat) error { got = append(got, r); return nil }))
	assert.Equal(t, []repeat{{2, 0}, {4, 1}, {5, 1}}, got)
}

func TestFilesThatAreNoDocumentsAreErrors(t *testing.T) {
	in := store.In(vfs.NewMem())
	require.NoError(t, store.WriteFile(t.Context(), in, "a.jsonl", []byte("{\"text\":\"x\"}\nnonsense\n")))
	j := Job{Config: Default(), In: in, Out: store.In(vfs.NewMem()), Temp: vfs.NewMem()}
	_, err := j.Run(t.Context())
	require.ErrorContains(t, err, "a.jsonl")
	require.ErrorContains(t, err, "line 2")
	j = Job{Exact: "word", In: in, Out: j.Out, Temp: j.Temp}
	_, err = j.Run(t.Context())
	require.ErrorContains(t, err, `unit "word"`)
}
