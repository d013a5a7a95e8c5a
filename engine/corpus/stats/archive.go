package stats

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/warc"
)

// An Archive is what stands in WARC files. Its rows count records, and the bytes of their blocks.
type Archive struct {
	Files     int   `json:"files"`
	Records   int64 `json:"records"`
	Bytes     int64 `json:"bytes"`     // of their blocks, headers of HTTP included
	Pages     Row   `json:"pages"`     // responses of status 200, resources, and texts of WET files
	Truncated int64 `json:"truncated"` // records that were cut off
	Kinds     Table `json:"kinds"`     // of record
	Statuses  Table `json:"statuses"`  // of responses
	Media     Table `json:"media"`     // types of pages
	Hosts     Table `json:"hosts"`     // of pages
}

// An archive is an [Archive] in the making.
type archive struct {
	files                         int
	whole, pages, responses       Row
	truncated                     int64
	kinds, statuses, media, hosts table
}

func newArchive() archive {
	return archive{kinds: newTable(), statuses: newTable(), media: newTable(), hosts: newTable()}
}

// AddArchive takes in the records of a WARC file.
func (c *Collector) AddArchive(r io.Reader) error {
	in, err := warc.NewReader(r)
	if err != nil {
		return err
	}
	defer in.Close()
	for {
		record, err := in.Next()
		if errors.Is(err, io.EOF) {
			c.archive.files++
			return nil
		} else if err != nil {
			return fmt.Errorf("record %d: %w", c.archive.whole.Documents+1, err)
		}
		c.archive.add(record)
	}
}

func (a *archive) add(r *warc.Record) {
	kind := r.Type()
	a.whole.add(r.Length, 0)
	a.kinds.add(kind, r.Length, 0)
	if r.Truncated() != "" {
		a.truncated++
	}
	media := ""
	switch kind {
	case warc.TypeConversion, warc.TypeResource:
		media = r.Get("Content-Type")
	case warc.TypeResponse:
		a.responses.add(r.Length, 0)
		response, err := r.Response()
		if err != nil {
			a.statuses.add("", r.Length, 0)
			return
		}
		a.statuses.add(fmt.Sprint(response.StatusCode), r.Length, 0)
		if response.StatusCode != http.StatusOK {
			return
		}
		media = response.Header.Get("Content-Type")
	default:
		return
	}
	if parsed, _, err := mime.ParseMediaType(media); err == nil {
		media = parsed
	} else {
		media, _, _ = strings.Cut(media, ";")
	}
	a.pages.add(r.Length, 0)
	a.media.add(media, r.Length, 0)
	a.hosts.add(Host(r.URI()), r.Length, 0)
}

func (a *archive) merge(o *archive) {
	a.files += o.files
	a.whole.merge(o.whole)
	a.pages.merge(o.pages)
	a.responses.merge(o.responses)
	a.truncated += o.truncated
	a.kinds.merge(&o.kinds)
	a.statuses.merge(&o.statuses)
	a.media.merge(&o.media)
	a.hosts.merge(&o.hosts)
}

// report is nil where there was no archive.
func (a *archive) report(top int) *Archive {
	if a.files == 0 {
		return nil
	}
	return &Archive{a.files, a.whole.Documents, a.whole.Bytes, a.pages, a.truncated, a.kinds.report(top, a.whole), a.statuses.report(top, a.responses),
		a.media.report(top, a.pages), a.hosts.report(top, a.pages)}
}

// Names of steps: of archives that nobody knows the making of, and of crawls, which leave archives and a report.
const (
	archiveName = "archive"
	crawlName   = "crawl"
)

// first puts archives at the head of a chain. Crawls, which may be shares of one, say how many URLs became pages, but not how
// large these are; other archives are a step of their own: of their records some are pages.
func (a *Archive) first(steps []Step) []Step {
	var head Step
	for len(steps) > 0 && steps[0].Step == crawlName {
		if head.Step == "" {
			head.Store = steps[0].Store
		}
		head.Add(steps[0].Report)
		steps = steps[1:]
	}
	if head.Step == "" {
		head.Report = shard.Report{Step: archiveName, Read: shard.Count{Documents: a.Records, Bytes: a.Bytes}, Kept: shard.Count{Documents: a.Pages.Documents}}
	}
	head.Files, head.Size, head.Kept.Bytes = a.Files, a.Bytes, a.Pages.Bytes
	return append([]Step{head}, steps...)
}
