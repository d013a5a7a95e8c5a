package dedup

import (
	"bytes"
	"context"
	"syscall"
	"testing"
	"time"

	"forja/engine/corpus"
	"forja/engine/vfs"
)

// measure reports megabytes per second of processor time, which other load on the machine disturbs less than the clock.
func measure(b *testing.B, size int, call func()) {
	call()
	b.ReportAllocs()
	b.ResetTimer()
	begin := processorTime()
	for b.Loop() {
		call()
	}
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(processorTime()-begin).Seconds(), "MB/cpu-s")
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkKeys(b *testing.B) {
	for _, name := range []string{"en-00", "pt-00"} {
		b.Run(name, func(b *testing.B) {
			docs, size := sharedDocuments(b, "corpus/"+name+".jsonl.gz", 4<<20)
			s := NewSigner(Default())
			var keys []uint64
			measure(b, size, func() {
				for _, d := range docs {
					keys = s.Keys(keys[:0], d.Text)
				}
			})
		})
	}
}

// BenchmarkRun is all there is to do with one stream: lines of JSON, keys, the index, verification.
func BenchmarkRun(b *testing.B) {
	docs, size := sharedDocuments(b, "corpus/en-00.jsonl.gz", 4<<20)
	lines := jsonl(b, docs)
	measure(b, size, func() {
		r, err := Run(context.Background(), corpus.Lines(bytes.NewReader(lines)), Options{Config: Default(), Dir: vfs.NewMem()})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	})
}
