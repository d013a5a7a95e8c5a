package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"forja/engine/data"
	"forja/engine/recipe"
	"forja/engine/vfs"
	"forja/tokenizer"
)

// stageTokenizer trains a tokenizer: tokenizer.json and its chat template.
func (a *app) stageTokenizer(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	from := s.Data.Train
	if from == "" {
		from = s.Data.Path
	}
	docs := data.Read(from, data.ReadOptions{})
	if from == "" || s.Data.Source == "goroot" {
		var err error
		if docs, err = corpusSide(ctx, s, false); err != nil {
			return err
		}
	}
	_, err := a.trainTokenizer(ctx, s, limit(docs, s.Data.MaxBytes), d)
	return err
}

// trainTokenizer trains a tokenizer on documents and saves it.
func (a *app) trainTokenizer(ctx context.Context, s *recipe.Stage, docs iter.Seq2[data.Document, error], d vfs.FS) (*encoder, error) {
	start := time.Now()
	var failed error
	texts := func(yield func(string) bool) {
		for doc, err := range docs {
			if err != nil {
				failed = err
				return
			}
			if !yield(doc.Text) {
				return
			}
		}
	}
	var read int64
	t, name, file, err := trainKind(ctx, s.Tokenizer, texts, func(p tokenizer.TrainProgress) {
		read = p.Bytes
		if p.Pieces > 0 {
			a.talk.progress("tokenizer: %s read, %d words, %d pieces are left", size(p.Bytes), p.Words, p.Pieces)
			return
		}
		a.talk.progress("tokenizer: %s read, %d words, %d of %d merges", size(p.Bytes), p.Words, p.Merges, p.MaxMerges)
	})
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, fmt.Errorf("train tokenizer: %w", err)
	}
	e := newEncoder(t)
	if err := e.describe(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := tokenizer.WriteJSON(&b, t); err != nil {
		return nil, err
	}
	e.files[tokenizerFile] = b.Bytes()
	if file != "" {
		files, err := convert(t, file)
		if err != nil {
			return nil, err
		}
		if err := vfs.WriteFile(d, file, files[0].content); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{tokenizerConfigFile, templateFile, tokenizerFile} { // the one that is looked for comes last
		if err := vfs.WriteFile(d, name, e.files[name]); err != nil {
			return nil, err
		}
	}
	a.talk.printf("tokenizer  %s, %d ids from %s in %s", name, t.VocabSize(), size(read), span(time.Since(start)))
	return e, nil
}
