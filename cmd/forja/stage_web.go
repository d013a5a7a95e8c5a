package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	"forja/engine/corpus/crawl"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/data"
	"forja/engine/recipe"
	"forja/engine/vfs"
)

// crawlOf is what a recipe says of a crawl, as the command line would say it.
func crawlOf(s *recipe.Stage, out string) (*crawlFlags, error) {
	c := &s.Crawl
	f := &crawlFlags{out: out, previous: c.Previous, share: shard.All.String(), include: c.Include, exclude: c.Exclude, networks: c.AllowNetwork}
	f.o = crawl.Options{Agent: c.Agent, Contact: c.Contact, Workers: c.Workers, MaxPages: c.MaxPages, MaxBody: int64(c.MaxBody), Timeout: c.Timeout,
		Types: c.Type, NoSitemaps: c.NoSitemaps, MaxFile: int64(c.WARCSize), Level: c.Gzip,
		Scope:      crawl.Scope{AnyHost: c.AnyHost, Hosts: c.Host, Prefixes: c.Prefix, MaxDepth: c.Depth, HostURLs: c.HostURLs},
		Politeness: crawl.Politeness{Delay: c.Delay, MaxDelay: c.MaxDelay, Factor: c.DelayFactor, PerHost: c.PerHost, ByHost: c.ByHost}}
	if err := f.complete(c.Seeds); err != nil {
		return nil, s.Errorf("crawl", "%v", err)
	}
	return f, nil
}

// stageCrawl fetches pages into warc/; a crawl that was stopped goes on.
func (a *app) stageCrawl(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	f, err := crawlOf(s, d.Path("."))
	if err != nil {
		return err
	}
	return a.crawl(ctx, f, s.Crawl.Seeds)
}

// stageDocuments makes files of documents of a store's files, with a marker of each that is done.
func (a *app) stageDocuments(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	in, err := store.Open(ctx, s.Data.Path)
	if err != nil {
		return err
	}
	at := &workplace{in: in, out: store.In(d), share: shard.All, ending: "." + s.Data.Files}
	defer at.Close()
	var r shard.Report
	switch s.Kind {
	case "extract":
		r, err = a.extractStore(ctx, at)
	case "filter":
		var j *judge
		if j, err = newJudge(s, ""); err == nil {
			r, err = a.filter(ctx, at, j)
		}
	case "dedup":
		r, err = a.stageDedup(ctx, s, at, d.Path(".temp"))
	}
	if err != nil {
		return err
	}
	return a.printReport(r)
}

// stageDedup does all steps. What a killed attempt left in temp is removed.
func (a *app) stageDedup(ctx context.Context, s *recipe.Stage, at *workplace, temp string) (r shard.Report, err error) {
	j, err := newDedupJob(s)
	if err != nil {
		return r, err
	}
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o755)); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	return a.dedup(ctx, at, j, "", temp)
}

// storeDocuments yields the documents of a store's files, in the order of their names.
func storeDocuments(ctx context.Context, location string) iter.Seq2[data.Document, error] {
	return func(yield func(data.Document, error) bool) {
		in, err := store.Open(ctx, location)
		if err != nil {
			yield(data.Document{}, err)
			return
		}
		defer in.Close()
		files, err := in.List(ctx)
		if err != nil {
			yield(data.Document{}, err)
			return
		}
		n := 0
		for _, f := range files {
			if _, ok := documents.Stem(f.Name); !ok || strings.HasPrefix(f.Name, "_") { // what a step keeps for itself
				continue
			}
			for d, err := range fileDocuments(ctx, in, f.Name) {
				if n++; !yield(d, err) || err != nil {
					return
				}
			}
		}
		if n == 0 {
			yield(data.Document{}, fmt.Errorf("%s: %w in %d files", location, data.ErrEmpty, len(files)))
		}
	}
}

func fileDocuments(ctx context.Context, in store.Store, name string) iter.Seq2[data.Document, error] {
	return func(yield func(data.Document, error) bool) {
		r, err := in.Open(ctx, name)
		if err != nil {
			yield(data.Document{}, err)
			return
		}
		defer r.Close()
		for d, err := range documents.Read(name, r) {
			if err != nil {
				err = fmt.Errorf("%s: %w", in.Path(name), err)
			}
			if !yield(data.Document{ID: d.ID, Text: d.Text, Source: d.Source, Lang: d.Lang, License: d.License}, err) {
				return
			}
		}
	}
}
