package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/corpus/extract"
	"forja/engine/corpus/extract/guard"
	"forja/engine/corpus/extract/pdf"
)

// pdfLimits are of one PDF. Its parser runs in a child, which costs a bad file and nothing else.
var pdfLimits = guard.Limits{Time: 10 * time.Second, PerMiB: time.Second, Memory: 1 << 30, Answer: 64 << 20}

const pdfChild = "pdf-child"

// pdfPool is the program's children that read PDFs. They end when their standard input does, with the program.
var pdfPool = sync.OnceValues(func() (*guard.Pool, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return guard.New([]string{self, "corpus", pdfChild}, runtime.NumCPU(), pdfLimits), nil
})

// A pdfAnswer is what the child says of a file.
type pdfAnswer struct {
	pdf.Document
	Error  string `json:"error,omitempty"`
	NoText bool   `json:"no_text,omitempty"`
}

// pdfChildCmd is the child's verb.
func (a *app) pdfChildCmd() *cobra.Command {
	c := &cobra.Command{Use: pdfChild, Short: "read the PDFs that another forja sends", Hidden: true, Args: cobra.NoArgs}
	c.RunE = func(*cobra.Command, []string) error {
		return guard.Serve(a.stdin, a.stdout, pdfLimits, os.Exit, func(request []byte) []byte {
			var answer pdfAnswer
			var err error
			if answer.Document, err = pdf.Text(request); err != nil {
				answer.Error, answer.NoText = err.Error(), errors.Is(err, pdf.ErrNoText)
			}
			b, err := json.Marshal(answer)
			if err != nil {
				return nil // which is no answer
			}
			return b
		})
	}
	return c
}

// isPDF tells whether a document is a PDF: one begins with its mark, or with something else before it and says that it is one.
func isPDF(src extract.Source, data []byte) bool {
	if bytes.HasPrefix(bytes.TrimLeft(data[:min(len(data), 1024)], "\ufeff \t\r\n\x00"), []byte("%PDF-")) {
		return true
	}
	kind, _, _ := mime.ParseMediaType(src.ContentType)
	return pdf.Is(data) && (kind == "application/pdf" || kind == "application/x-pdf" || strings.EqualFold(path.Ext(src.Name), ".pdf"))
}

// extractAny reads a document of any known format. An error of its is unreadable, but for those that are not of the document.
func extractAny(ctx context.Context, src extract.Source, data []byte) (extract.Result, error) {
	if !isPDF(src, data) {
		r, err := extract.Extract(src, data)
		if err != nil {
			return r, unreadable{err}
		}
		return r, nil
	}
	if len(data) > pdf.MaxInput {
		return extract.Result{}, unreadable{fmt.Errorf("%d bytes or more: a PDF may have %d", len(data), pdf.MaxInput)}
	}
	pool, err := pdfPool()
	if err != nil {
		return extract.Result{}, err
	}
	b, err := pool.Do(ctx, data)
	switch {
	case errors.Is(err, guard.ErrTime), errors.Is(err, guard.ErrMemory), errors.Is(err, guard.ErrCrash):
		return extract.Result{}, unreadable{fmt.Errorf("reading the PDF %w", err)}
	case err != nil:
		return extract.Result{}, err
	}
	var d pdfAnswer
	err = json.Unmarshal(b, &d)
	switch {
	case err != nil:
		return extract.Result{}, unreadable{fmt.Errorf("reading the PDF: its answer: %w", err)}
	case d.NoText:
		return extract.Result{}, unreadable{fmt.Errorf("%w%s", errNoText, strings.TrimPrefix(d.Error, pdf.ErrNoText.Error()))}
	case d.Error != "":
		return extract.Result{}, unreadable{errors.New(d.Error)}
	}
	r := extract.Result{Text: d.Text, Title: d.Title, Author: d.Author, Date: d.Date, Lang: d.Lang, Type: extract.Article}
	if d.Pages >= bookPages {
		r.Type = extract.Book
	}
	return r, nil
}

// bookPages is how many pages make a book.
const bookPages = 50
