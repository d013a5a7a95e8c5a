package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/data"
	"forja/tokenizer"
)

// A tokenizerRow is what a text comes to with a tokenizer.
type tokenizerRow struct {
	Tokenizer     string  `json:"tokenizer"`
	Kind          string  `json:"kind"`
	Vocab         int     `json:"vocab"`
	Tokens        int     `json:"tokens"`
	BytesPerToken float64 `json:"bytes_per_token"`
	Unknown       int     `json:"unknown"` // tokens that stand for unknown characters
	MBPerS        float64 `json:"mb_per_s"`
}

func (a *app) tokenizerCompareCmd() *cobra.Command {
	var f tokenizerFlags
	var text string
	c := &cobra.Command{Use: "compare TOKENIZER...", Short: "put tokenizers side by side on a text", Args: cobra.MinimumNArgs(1),
		Example: "  forja tokenizer compare tok cl100k_base.tiktoken.gz --text corpus.jsonl.gz"}
	f.addMeaning(c)
	c.Flags().StringVar(&text, "text", "-", "file or folder of documents, or - for standard input")
	c.RunE = func(_ *cobra.Command, args []string) error {
		docs, size, err := a.benchText(text, 0)
		if err != nil {
			return err
		}
		var rows []tokenizerRow
		for _, path := range args {
			t, err := f.openPath(path)
			if err != nil {
				return err
			}
			row := tokenizerRow{Tokenizer: path, Kind: tokenizer.Describe(t), Vocab: t.VocabSize()}
			unknown := map[int32]bool{}
			for _, name := range []string{"<unk>", "[UNK]"} {
				if id, ok := t.ID(name); ok {
					unknown[id] = true
				}
			}
			var ids []int32
			start := time.Now()
			for _, doc := range docs {
				ids = t.EncodeTo(ids[:0], doc)
				row.Tokens += len(ids)
				for _, id := range ids {
					if unknown[id] {
						row.Unknown++
					}
				}
			}
			row.MBPerS = float64(size) / 1e6 / time.Since(start).Seconds()
			row.BytesPerToken = float64(size) / float64(max(1, row.Tokens))
			rows = append(rows, row)
		}
		return a.print(rows, func(w io.Writer) {
			out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(out, "tokenizer\tids\ttokens\tbytes a token\tunknown\tMB/s\tkind")
			for _, r := range rows {
				fmt.Fprintf(out, "%s\t%d\t%d\t%.3f\t%d\t%.1f\t%s\n", r.Tokenizer, r.Vocab, r.Tokens, r.BytesPerToken, r.Unknown, r.MBPerS, r.Kind)
			}
			out.Flush()
		})
	}
	return c
}

// benchText reads documents, up to about most bytes unless that is 0.
func (a *app) benchText(path string, most int) (docs []string, size int, err error) {
	if path == "-" {
		text, err := a.readText(nil, 0)
		return []string{text}, len(text), err
	}
	for doc, err := range data.Read(path, data.ReadOptions{}) {
		if err != nil {
			return nil, 0, err
		}
		docs = append(docs, doc.Text)
		if size += len(doc.Text); most > 0 && size >= most {
			break
		}
	}
	return docs, size, nil
}

// A tokenizerSpeed is one measurement.
type tokenizerSpeed struct {
	Text    string  `json:"text"`
	Threads int     `json:"threads"`
	Cache   string  `json:"cache"`
	Bytes   int     `json:"bytes"`
	MBPerS  float64 `json:"mb_per_s"`
}

func (a *app) tokenizerBenchCmd() *cobra.Command {
	var f tokenizerFlags
	var rounds, most int
	var cpu bool
	c := &cobra.Command{Use: "bench [TOKENIZER] [FILE]", Short: "measure encoding on documents and on awkward texts", Args: cobra.MaximumNArgs(2),
		Example: "  forja tokenizer bench cl100k_base.tiktoken.gz corpus.jsonl.gz"}
	f.add(c)
	c.Flags().IntVar(&rounds, "rounds", 5, "turns; the best counts")
	c.Flags().IntVar(&most, "bytes", 20_000_000, "text to read of FILE, about")
	c.Flags().BoolVar(&cpu, "cpu", false, "count processor time, for a machine that others use too")
	c.RunE = func(_ *cobra.Command, args []string) error {
		start := time.Now()
		open := func() (tokenizer.Tokenizer, []string, error) { return f.open(args, 1) }
		t, rest, err := open()
		if err != nil {
			return err
		}
		a.talk.printf("loaded in %d ms", time.Since(start).Milliseconds())
		var rows []tokenizerSpeed
		add := func(name string, threads int, cold bool, docs []string) error {
			row := tokenizerSpeed{Text: name, Threads: threads, Cache: "warm"}
			for _, doc := range docs {
				row.Bytes += len(doc)
			}
			for range max(1, rounds) {
				if cold { // what is read anew has seen no word
					row.Cache = "cold"
					if t, _, err = open(); err != nil {
						return err
					}
				}
				row.MBPerS = max(row.MBPerS, speed(t, docs, threads, row.Bytes, cpu))
			}
			rows = append(rows, row)
			return nil
		}
		if len(rest) > 0 {
			docs, _, err := a.benchText(rest[0], most)
			if err != nil {
				return err
			}
			if err := add("documents", 1, true, docs); err != nil {
				return err
			}
			threads := runtime.GOMAXPROCS(0)
			if err := add("documents", 1, false, docs); err != nil {
				return err
			}
			if threads > 1 {
				if err := add("documents", threads, false, docs); err != nil {
					return err
				}
			}
		}
		for _, text := range awkwardTexts() {
			if err := add(text.name, 1, false, []string{text.text}); err != nil {
				return err
			}
		}
		return a.print(rows, func(w io.Writer) {
			out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintln(out, "text\tthreads\tcache\tbytes\tMB/s\t")
			for _, r := range rows {
				fmt.Fprintf(out, "%s\t%d\t%s\t%d\t%.1f\t\n", r.Text, r.Threads, r.Cache, r.Bytes, r.MBPerS)
			}
			out.Flush()
		})
	}
	return c
}

// speed encodes documents once and returns MB/s, of wall time or of processor time on each thread.
func speed(t tokenizer.Tokenizer, docs []string, threads, size int, cpu bool) float64 {
	var next atomic.Int64
	var g sync.WaitGroup
	start, used := time.Now(), processorTime()
	for range threads {
		g.Go(func() {
			var ids []int32
			for {
				i := int(next.Add(1)) - 1
				if i >= len(docs) {
					return
				}
				ids = t.EncodeTo(ids[:0], docs[i])
			}
		})
	}
	g.Wait()
	took := time.Since(start)
	if cpu {
		took = (processorTime() - used) / time.Duration(threads)
	}
	return float64(size) / 1e6 / took.Seconds()
}

// awkwardTexts are of the kinds on which tokenizers are known to be slow, each of about a megabyte.
func awkwardTexts() []struct{ name, text string } {
	const size = 1 << 20
	const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var random, cjk strings.Builder
	state := uint64(1)
	next := func(n uint64) uint64 { // a small generator, the same on every machine
		state = state*6364136223846793005 + 1442695040888963407
		return state >> 33 % n
	}
	for random.Len() < size {
		random.WriteByte(base64[next(64)])
	}
	for cjk.Len() < size {
		cjk.WriteRune(rune(0x4e00 + next(0x3000)))
	}
	return []struct{ name, text string }{
		{"one letter", strings.Repeat("a", size)}, {"blanks", strings.Repeat(" ", size)}, {"Chinese characters", cjk.String()}, {"base64", random.String()},
	}
}
