package tokenizer

import (
	"bytes"
	"context"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"forja/tokenizer/split"
)

func BenchmarkEncode(b *testing.B) {
	en := sharedDocuments(b, "en-00.jsonl.gz", 8<<20)
	pt := sharedDocuments(b, "pt-00.jsonl.gz", 8<<20)
	for _, v := range []struct {
		name    string
		pattern *split.Pattern
	}{{"gpt2", split.GPT2}, {"cl100k_base", split.CL100K}} {
		t := loadShared(b, v.name, v.pattern)
		run := func(name string, docs []string, cold bool) {
			b.Run(v.name+"/"+name, func(b *testing.B) {
				size := 0
				for _, doc := range docs {
					size += len(doc)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var ids []int32
				for b.Loop() {
					if cold {
						t.workspaces.Put(newWorkspace())
						t.workspaces.Get() // drop what is warm
					}
					for _, doc := range docs {
						ids = t.EncodeTo(ids[:0], doc)
					}
				}
			})
		}
		run("english", en, false)
		run("portuguese", pt, false)
		for name, text := range awkwardTexts(1 << 20) {
			run(name, []string{text}, false)
		}
	}
}

// awkwardTexts are of the kinds on which tokenizers are known to be quadratic.
func awkwardTexts(size int) map[string]string {
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, size*3/4)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	var cjk, lower strings.Builder
	for cjk.Len() < size {
		cjk.WriteRune(rune(0x4e00 + rng.IntN(0x3000)))
	}
	for lower.Len() < size {
		lower.WriteByte(byte('a' + rng.IntN(26)))
	}
	return map[string]string{
		"a":       strings.Repeat("a", size),
		"spaces":  strings.Repeat(" ", size),
		"newline": strings.Repeat("\n", size),
		"quote":   strings.Repeat("'s", size/2),
		"cjk":     cjk.String(),
		"letters": lower.String(),
		"base64":  base64.StdEncoding.EncodeToString(random),
	}
}

func BenchmarkLoadTiktoken(b *testing.B) {
	data := sharedFile(b, "vocab/cl100k_base.tiktoken.gz")
	for b.Loop() {
		if _, err := LoadTiktoken(bytes.NewReader(data), split.CL100K); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	var docs []string
	for _, name := range []string{"en-00", "en-01", "en-02", "en-03", "en-04", "en-05", "en-06", "en-07", "pt-00", "pt-01"} {
		docs = append(docs, sharedDocuments(b, name+".jsonl.gz", 1<<30)...)
	}
	for _, c := range []struct {
		name      string
		megabytes int
		vocab     int
	}{{"16MB-4k", 16, 4096}, {"86MB-32k", 86, 32768}} {
		b.Run(c.name, func(b *testing.B) {
			part, total := 0, 0
			for ; part < len(docs) && total < c.megabytes*1e6; part++ {
				total += len(docs[part])
			}
			b.SetBytes(int64(total))
			for b.Loop() {
				if _, err := TrainBPE(context.Background(), slices.Values(docs[:part]), TrainOptions{VocabSize: c.vocab}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadJSON(b *testing.B) {
	data := writeJSON(b, loadShared(b, "cl100k_base", split.CL100K))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		readJSON(b, data)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	t := loadShared(b, "cl100k_base", split.CL100K)
	for b.Loop() {
		t.computeFingerprint()
	}
}
