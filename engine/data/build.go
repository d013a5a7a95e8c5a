package data

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"path"
	"runtime"
	"sync"

	"forja/engine/vfs"
)

// An Encoder appends the ids of a text to dst. Text is only text: it never
// yields the id of a special token. It must be safe for concurrent use.
type Encoder interface {
	EncodeTo(dst []int32, text string) []int32
}

// BuildOptions say how a set of shards is made. Format must be given.
type BuildOptions struct {
	Format      Format
	ShardTokens int                 // a shard is closed once it has this many; default 32 Mi
	Workers     int                 // goroutines that tokenize; default one per processor
	Progress    func(BuildProgress) // called from one goroutine after every few documents; may be nil
}

func (o *BuildOptions) setDefaults() {
	if o.ShardTokens <= 0 {
		o.ShardTokens = 32 << 20
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
}

// BuildProgress counts what has been tokenized so far.
type BuildProgress struct {
	Documents, Tokens, TextBytes int64
}

// chunkBytes is how much text one worker gets at a time.
const chunkBytes = 1 << 18

// A chunk is a run of documents on its way through a worker.
type chunk struct {
	texts []string
	err   error // of the reader, after the texts
	ids   [][]int32
	done  chan struct{} // closed when ids is complete
}

// Build tokenizes documents in parallel and writes them, in order, as a set of
// shards into dir, which is made if needed. The same documents and options
// give the same bytes, whatever the number of workers. Nothing is a set until
// Build returns nil; a set that was there before is gone from its start.
func Build(ctx context.Context, fsys vfs.FS, dir string, docs iter.Seq2[Document, error], encoder Encoder, o BuildOptions) (Manifest, error) {
	if err := o.Format.check(); err != nil {
		return Manifest{}, fmt.Errorf("tokenize: %w", err)
	}
	o.setDefaults()
	w := &setWriter{fsys: fsys, dir: dir, o: o, shard: shardBuilder{Format: o.Format}}
	w.manifest = Manifest{Version: shardVersion, VocabSize: o.Format.VocabSize, Begin: o.Format.Begin, End: o.Format.End,
		Fingerprint: hex.EncodeToString(o.Format.Fingerprint[:])}
	if err := w.begin(); err != nil {
		return Manifest{}, fmt.Errorf("tokenize: %w", err)
	}
	for c := range encodeAll(ctx, docs, encoder, o.Workers) {
		if err := w.add(c); err != nil {
			return Manifest{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return Manifest{}, fmt.Errorf("tokenize: %w", context.Cause(ctx))
	}
	return w.finish()
}

// encodeAll yields the chunks of docs in order, encoded. All its goroutines
// have ended when it returns.
func encodeAll(ctx context.Context, docs iter.Seq2[Document, error], encoder Encoder, workers int) iter.Seq[*chunk] {
	return func(yield func(*chunk) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		work, ordered := make(chan *chunk), make(chan *chunk, 2*workers)
		running.Go(func() {
			defer close(work)
			defer close(ordered)
			for c := range chunks(docs) {
				select {
				case ordered <- c:
				case <-ctx.Done():
					return
				}
				select {
				case work <- c:
				case <-ctx.Done():
					return
				}
			}
		})
		for range workers {
			running.Go(func() {
				for c := range work {
					for _, text := range c.texts {
						c.ids = append(c.ids, encoder.EncodeTo(make([]int32, 0, len(text)/3+8), text))
					}
					close(c.done)
				}
			})
		}
		for c := range ordered {
			select {
			case <-c.done:
			case <-ctx.Done():
				return
			}
			if !yield(c) {
				return
			}
		}
	}
}

// chunks groups documents into runs of about chunkBytes. It ends at the first error.
func chunks(docs iter.Seq2[Document, error]) iter.Seq[*chunk] {
	return func(yield func(*chunk) bool) {
		c, size := &chunk{done: make(chan struct{})}, 0
		for doc, err := range docs {
			if err != nil {
				c.err = err
				break
			}
			c.texts = append(c.texts, doc.Text)
			if size += len(doc.Text); size >= chunkBytes {
				if !yield(c) {
					return
				}
				c, size = &chunk{done: make(chan struct{})}, 0
			}
		}
		if len(c.texts) > 0 || c.err != nil {
			yield(c)
		}
	}
}

// A setWriter writes the shards of one set, one after the other.
type setWriter struct {
	fsys     vfs.FS
	dir      string
	o        BuildOptions
	shard    shardBuilder
	manifest Manifest
	progress BuildProgress
}

// begin makes the folder and takes an earlier set away, so that a half-written
// mixture is never taken for a set.
func (w *setWriter) begin() error {
	if err := vfs.MkdirAll(w.fsys, w.dir); err != nil {
		return err
	}
	entries, err := w.fsys.ReadDir(w.dir)
	if err != nil {
		return err
	}
	// The manifest goes first: without it the shards are not a set.
	for _, name := range []string{ManifestName, "tokens-*.bin"} {
		found := false
		for _, e := range entries {
			if match, _ := path.Match(name, e.Name()); match {
				found = true
				if err := w.fsys.Remove(path.Join(w.dir, e.Name())); err != nil {
					return err
				}
			}
		}
		if found {
			if err := w.fsys.SyncDir(w.dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *setWriter) add(c *chunk) error {
	for i, ids := range c.ids {
		if err := w.shard.add(ids, len(c.texts[i])); err != nil {
			return fmt.Errorf("tokenize: %w", err)
		}
		w.progress.Documents++
		w.progress.TextBytes += int64(len(c.texts[i]))
		if w.shard.count >= int64(w.o.ShardTokens) {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	if w.o.Progress != nil {
		p := w.progress
		p.Tokens = w.manifest.Tokens + w.shard.count
		w.o.Progress(p)
	}
	return c.err
}

// flush writes the current shard, if it holds anything.
func (w *setWriter) flush() error {
	if w.shard.count == 0 {
		return nil
	}
	name := fmt.Sprintf("tokens-%05d.bin", len(w.manifest.Shards))
	front, tokens, payload := w.shard.encode()
	err := vfs.WriteStream(w.fsys, path.Join(w.dir, name), func(out io.Writer) error {
		if _, err := out.Write(front); err != nil {
			return err
		}
		_, err := out.Write(tokens)
		return err
	})
	if err != nil {
		return fmt.Errorf("write token shard: %w", err)
	}
	w.manifest.add(ManifestShard{name, int64(len(w.shard.index)), w.shard.count, w.shard.textBytes, hex.EncodeToString(payload[:])})
	w.shard.reset()
	return nil
}

func (w *setWriter) finish() (Manifest, error) {
	if err := w.flush(); err != nil {
		return Manifest{}, err
	}
	if w.manifest.Documents == 0 {
		return Manifest{}, fmt.Errorf("tokenize: %w: not one of %d documents gave a token", ErrEmpty, w.progress.Documents)
	}
	b, err := w.manifest.encode()
	if err != nil {
		return Manifest{}, err
	}
	if err := vfs.WriteFile(w.fsys, path.Join(w.dir, ManifestName), b); err != nil {
		return Manifest{}, fmt.Errorf("write token manifest: %w", err)
	}
	return w.manifest, nil
}
