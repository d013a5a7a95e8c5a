package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
)

// lineInput opens lines of text: a file, packed if its name ends so, or standard input. How much was read is shown while
// it is, unless what the verb prints would be in the way.
func (a *app) lineInput(args []string, prints bool) (io.ReadCloser, error) {
	in, err := a.input(args, 0)
	if err != nil {
		return nil, err
	}
	if a.mayShow(prints) {
		in = readCloser{watched{in, a.showReading()}, in}
	}
	if len(args) == 0 {
		return in, nil
	}
	if path.Ext(args[0]) == ".parquet" {
		return nil, errors.Join(usagef("%s is not lines of JSON: filter and dedup read Parquet from a folder, with --in and --out", args[0]), in.Close())
	}
	lines, err := documents.Decompress(args[0], in)
	if err != nil {
		return nil, errors.Join(ofFile(args, err), in.Close())
	}
	return readCloser{lines, closers{lines, in}}, nil
}

// mayShow says whether a live line would not get between lines that a verb prints.
func (a *app) mayShow(prints bool) bool {
	f, ok := a.stdout.(*os.File)
	return a.talk.tty && !(prints && ok && term.IsTerminal(int(f.Fd())))
}

// showReading is told of bytes as they are read, and shows how many there were.
func (a *app) showReading() func(n int) {
	start, read := time.Now(), int64(0)
	return func(n int) {
		read += int64(n)
		a.talk.progress("%s read, %s/s", size(read), size(int64(float64(read)/max(time.Since(start).Seconds(), 1e-3))))
	}
}

type readCloser struct {
	io.Reader
	io.Closer
}

// closers are closed in their order.
type closers []io.Closer

func (c closers) Close() (err error) {
	for _, one := range c {
		err = errors.Join(err, one.Close())
	}
	return err
}

// ofFile says which file an error is of, if one was named, and what the end of a file means that comes too early.
func ofFile(args []string, err error) error {
	if usage := (usageError{}); err == nil || len(args) == 0 || args[0] == "-" || errors.As(err, &usage) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w: the file is not whole, make or copy it again", args[0], err)
	}
	if at := (*os.PathError)(nil); errors.As(err, &at) { // says it, or is of another
		return err
	}
	return fmt.Errorf("%s: %w", args[0], err)
}

// filesOrStore checks the arguments of a verb that reads files, or with --in those of a store.
func filesOrStore(at *shareFlags) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case at.given() && len(args) > 0:
			return fmt.Errorf("--in names the folder whose files are read: leave out %s", args[0])
		case at.given():
			return nil
		case len(args) == 0:
			return errors.New("needs a FILE (- is standard input), or --in and --out")
		}
		for _, name := range args {
			if isFolder(name) {
				return fmt.Errorf("%s is a folder: name its files, or give --in %s and --out", name, name)
			}
			if _, ours := documents.Stem(name); ours {
				return fmt.Errorf("%s is a file of documents already: want what they are made of, such as HTML or WARC files", name)
			}
		}
		return nil
	}
}

// unpack undoes the gzip of a file, whatever it is called, and takes the ending of that off its name.
func unpack(name string, in io.Reader) (plain string, out io.Reader, err error) {
	plain = strings.TrimSuffix(name, ".gz")
	buffered := bufio.NewReader(in)
	if b, _ := buffered.Peek(2); !bytes.Equal(b, []byte{0x1f, 0x8b}) {
		return plain, buffered, nil
	}
	z, err := gzip.NewReader(buffered)
	return plain, z, err
}

// noFolder refuses a folder where one stream of documents is read.
func noFolder(args []string) error {
	if len(args) == 1 && isFolder(args[0]) {
		return usagef("%s is a folder: name a file in it, or give --in %s and --out", args[0], args[0])
	}
	return nil
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// apart says why two places cannot be a step's input and output. Places of a store are apart if neither is in the other.
func apart(in, out string) error {
	from, to := whole(in), whole(out)
	switch {
	case from == to:
		return usagef("--in and --out are both %s: choose another place for the output", in)
	case strings.HasPrefix(to+"/", from+"/"):
		return usagef("--out %s is inside --in %s, and the next run would read it: choose a place beside it", out, in)
	}
	return nil
}

// whole is a place as no other is written.
func whole(place string) string {
	if scheme, rest, ok := strings.Cut(place, "://"); ok {
		return scheme + "://" + path.Clean(rest)
	}
	absolute, err := filepath.Abs(place)
	if err != nil {
		return filepath.Clean(place)
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil {
		return real
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(absolute)); err == nil { // it is still to be made
		return filepath.Join(real, filepath.Base(absolute))
	}
	return absolute
}

// pageEndings are of files that are no text as they are.
var pageEndings = []string{".html", ".htm", ".xhtml", ".epub", ".pdf"}

// textDocument makes a document of one file: the text of a page, or what is in any other.
func (a *app) textDocument(ctx context.Context, args []string) (corpus.Document, error) {
	if len(args) > 0 {
		switch name := strings.ToLower(args[0]); {
		case isArchive(name):
			return corpus.Document{}, usagef("%s has many pages: make documents of them with forja corpus extract --jsonl", args[0])
		case slices.Contains(pageEndings, path.Ext(strings.TrimSuffix(name, ".gz"))):
			return a.extractFile(ctx, args[0], "")
		}
	}
	text, err := a.readText(args, 0)
	return corpus.Document{Text: text}, ofFile(args, err)
}
