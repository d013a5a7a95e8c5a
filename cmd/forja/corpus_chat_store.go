package main

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"

	"forja/engine/corpus/dialogue"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/corpus/warc"
)

// chatVersion is part of a step's settings, so that files of different making do not get mixed: it grows when the same input comes
// to other conversations.
const chatVersion = 1

// chatStore makes conversations of the files of a store.
func (a *app) chatStore(ctx context.Context, at *workplace, config dialogue.Config) (shard.Report, error) {
	do := func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
		var packed *gzip.Writer
		if strings.HasSuffix(at.ending, ".gz") {
			packed = gzip.NewWriter(w)
			w = packed
		}
		take := func(r chatResult) error {
			at.documents.Add(1)
			report.Read.Add(r.bytes)
			if r.err != nil {
				report.Drop("chat/unreadable", r.id, r.bytes)
			}
			for _, d := range r.found.Dropped {
				report.Note("questions left out: "+d.Reason, int64(d.Questions))
			}
			for _, c := range r.found.Conversations {
				n := 0
				for _, m := range c.Messages {
					n += len(m.Content)
				}
				report.Kept.Add(n)
			}
			return writeChats(w, r.found.Conversations)
		}
		if isArchive(in.Name) {
			for r, err := range inOrder(ctx, storedPages(r), func(p warc.Page) (chatResult, error) {
				return chatsOfPage(config, p, in.Name), nil
			}) {
				if bad := (damaged{}); errors.As(err, &bad) { // what is before it is good
					r, err = chatResult{id: in.Name, err: err}, nil
				}
				if err != nil {
					return err
				}
				if err := take(r); err != nil {
					return err
				}
			}
		} else {
			found := chatsOfReader(config, in.Name, "", r)
			if bad := (unreadable{}); found.err != nil && !errors.As(found.err, &bad) {
				return found.err
			}
			if err := take(found); err != nil {
				return err
			}
		}
		if packed != nil {
			return packed.Close()
		}
		return nil
	}
	return a.share(ctx, at, &shard.Map{Step: "chat", Settings: []any{chatVersion, config, at.ending}, Stem: extractStem, Do: do})
}
