package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/tokenizer"
)

// maxLine bounds a line of JSON.
const maxLine = 1 << 30

func (a *app) tokenizerEncodeCmd() *cobra.Command {
	var f tokenizerFlags
	var special, framed, lines, offsets bool
	c := &cobra.Command{Use: "encode [TOKENIZER] [FILE]", Short: "text to ids (standard input without FILE)", Args: cobra.MaximumNArgs(2),
		Example: "  forja tokenizer encode tok notes.txt\n  forja tokenizer encode --jsonl --tokenizer cl100k_base.tiktoken < texts.jsonl > ids.jsonl"}
	f.add(c)
	c.Flags().BoolVar(&special, "specials", false, "recognise special tokens in the text")
	c.Flags().BoolVar(&framed, "framed", false, "put the special tokens around it that the tokenizer's file tells ([CLS], <s>)")
	c.Flags().BoolVar(&lines, "jsonl", false, `lines of {"text":...} to lines of {"ids":[...]}, one for one`)
	c.Flags().BoolVar(&offsets, "offsets", false, "with --jsonl also where in the text each token stands, in bytes")
	c.RunE = func(_ *cobra.Command, args []string) error {
		t, args, err := f.open(args, 1)
		if err != nil {
			return err
		}
		template := tokenizer.TemplateOf(t)
		if framed && template == nil {
			return usagef("--framed: the tokenizer's file tells no tokens to put around a text")
		}
		if special {
			if t, err = tokenizer.WithSpecials(t); err != nil {
				return err
			}
		}
		if !framed {
			template = nil
		}
		switch {
		case lines:
			return a.encodeLines(t, template, offsets, args)
		case offsets:
			return usagef("--offsets needs --jsonl")
		case a.json || template != nil:
			text, err := a.readText(args, 0)
			if err != nil {
				return err
			}
			ids := template.Apply(t.Encode(text))
			return a.print(ids, func(w io.Writer) { writeIDs(w, ids) })
		}
		return a.encodeStream(t, args)
	}
	return c
}

// encodeStream prints ids while it reads.
func (a *app) encodeStream(t tokenizer.Tokenizer, args []string) error {
	in, err := a.input(args, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	first := true
	var number []byte
	err = tokenizer.EncodeReader(t, in, func(ids []int32) error {
		for _, id := range ids {
			number = number[:0]
			if !first {
				number = append(number, ' ')
			}
			first = false
			out.Write(strconv.AppendInt(number, int64(id), 10))
		}
		return nil
	})
	if err != nil {
		return err
	}
	out.WriteByte('\n')
	return out.Flush()
}

func writeIDs(w io.Writer, ids []int32) {
	b := bufio.NewWriter(w)
	defer b.Flush()
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(b, id)
	}
	b.WriteByte('\n')
}

// encodeLines encodes lines of JSON on all processors, in order.
func (a *app) encodeLines(t tokenizer.Tokenizer, template *tokenizer.Template, offsets bool, args []string) error {
	return a.mapLines(args, func(dst, line []byte) ([]byte, error) {
		var in struct{ Text *string }
		if err := json.Unmarshal(line, &in); err != nil {
			return nil, corpus.Reason(err)
		}
		if in.Text == nil {
			return nil, errors.New(`no "text"`)
		}
		var ids []int32
		places := []byte(`,"offsets":[`)
		if offsets {
			for id, span := range t.Tokens(*in.Text) {
				if len(ids) > 0 {
					places = append(places, ',')
				}
				places = fmt.Appendf(places, "[%d,%d]", span.Start, span.End)
				ids = append(ids, id)
			}
		} else {
			ids = t.Encode(*in.Text)
		}
		dst = append(dst, `{"ids":[`...)
		for i, id := range template.Apply(ids) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, int64(id), 10)
		}
		dst = append(dst, ']')
		if offsets {
			dst = append(append(dst, places...), ']')
		}
		return append(dst, "}\n"...), nil
	})
}

// mapLines writes what do makes of each line of an input, in order, and works on all processors. Errors name the file
// and the line.
func (a *app) mapLines(args []string, do func(dst, line []byte) ([]byte, error)) error {
	return a.mapInput(args, true, do)
}

// mapInput is mapLines, told whether do makes anything.
func (a *app) mapInput(args []string, prints bool, do func(dst, line []byte) ([]byte, error)) error {
	in, err := a.lineInput(args, prints)
	if err != nil {
		return err
	}
	defer in.Close()
	type batch struct {
		first int // number of the first line
		lines [][]byte
		out   []byte
		err   error
		done  chan struct{}
	}
	workers := runtime.GOMAXPROCS(0)
	work, order := make(chan *batch, workers), make(chan *batch, 2*workers)
	stop := make(chan struct{})
	for range workers {
		go func() {
			for b := range work {
				for i, line := range b.lines {
					if b.out, b.err = do(b.out, line); b.err != nil {
						b.err = fmt.Errorf("line %d: %w", b.first+i, b.err)
						break
					}
				}
				close(b.done)
			}
		}()
	}
	var readErr error
	go func() {
		defer close(order)
		defer close(work)
		r := bufio.NewReaderSize(in, 1<<16)
		n := 0
		for readErr == nil {
			b := &batch{first: n + 1, done: make(chan struct{})}
			for size := 0; size < 1<<17 && readErr == nil; {
				var line []byte
				line, readErr = readLine(r)
				if n == 0 {
					line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")) // of which some editors make the beginning of a file
				}
				if readErr != nil && (len(line) == 0 || !errors.Is(readErr, io.EOF)) { // a line that was cut off is none
					break
				}
				n++
				size += len(line) + 64
				b.lines = append(b.lines, line)
			}
			if len(b.lines) == 0 {
				return
			}
			select {
			case order <- b:
				work <- b
			case <-stop:
				return
			}
		}
	}()
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	for b := range order {
		<-b.done
		if _, err := out.Write(b.out); err != nil {
			close(stop)
			return err
		}
		if b.err != nil {
			close(stop)
			return errors.Join(ofFile(args, b.err), out.Flush())
		}
		if len(order) == 0 {
			if err := out.Flush(); err != nil {
				close(stop)
				return err
			}
		}
	}
	if readErr != nil && !errors.Is(readErr, io.EOF) {
		return errors.Join(ofFile(args, readErr), out.Flush())
	}
	return out.Flush()
}

// readLine reads a line without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("a line is longer than %s", size(maxLine))
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil:
			line = line[:len(line)-1]
		}
		return line, err
	}
}

func (a *app) tokenizerDecodeCmd() *cobra.Command {
	var f tokenizerFlags
	var lines, skip bool
	c := &cobra.Command{Use: "decode [TOKENIZER] [FILE]", Short: "ids, separated by white space, to text", Args: cobra.MaximumNArgs(2)}
	f.add(c)
	c.Flags().BoolVar(&lines, "jsonl", false, `lines of {"ids":[...]} to lines of {"text":...}, one for one`)
	c.Flags().BoolVar(&skip, "skip-specials", false, "leave special tokens out")
	c.RunE = func(_ *cobra.Command, args []string) error {
		t, args, err := f.open(args, 1)
		if err != nil {
			return err
		}
		hidden := map[int32]bool{}
		if skip {
			for _, s := range t.Specials() {
				hidden[s.ID] = !s.Visible
			}
		}
		check := func(ids []int32) ([]int32, error) {
			kept := ids[:0]
			for _, id := range ids {
				if _, ok := t.Token(id); !ok {
					return nil, usagef("the tokenizer has no id %d", id)
				}
				if !hidden[id] {
					kept = append(kept, id)
				}
			}
			return kept, nil
		}
		if lines {
			return a.mapLines(args, func(dst, line []byte) ([]byte, error) {
				var in struct{ IDs []int32 }
				if err := json.Unmarshal(line, &in); err != nil {
					return nil, corpus.Reason(err)
				}
				ids, err := check(in.IDs)
				if err != nil {
					return nil, err
				}
				text, err := json.Marshal(map[string]string{"text": t.Decode(ids)})
				return append(append(dst, text...), '\n'), err
			})
		}
		text, err := a.readText(args, 0)
		if err != nil {
			return err
		}
		var ids []int32
		for _, field := range strings.Fields(text) {
			id, err := strconv.ParseInt(field, 10, 32)
			if err != nil {
				return usagef("%q is not an id", field)
			}
			ids = append(ids, int32(id))
		}
		if ids, err = check(ids); err != nil {
			return err
		}
		_, err = a.stdout.Write(t.DecodeTo(nil, ids))
		return err
	}
	return c
}

func (a *app) tokenizerCountCmd() *cobra.Command {
	var f tokenizerFlags
	var lines bool
	c := &cobra.Command{Use: "count [TOKENIZER] [FILE]", Short: "count tokens", Args: cobra.MaximumNArgs(2)}
	f.add(c)
	c.Flags().BoolVar(&lines, "jsonl", false, `lines of {"text":...} to lines of {"tokens":N}, one for one`)
	c.RunE = func(_ *cobra.Command, args []string) error {
		t, args, err := f.open(args, 1)
		if err != nil {
			return err
		}
		if lines {
			return a.mapLines(args, func(dst, line []byte) ([]byte, error) {
				var in struct{ Text *string }
				if err := json.Unmarshal(line, &in); err != nil {
					return nil, corpus.Reason(err)
				}
				if in.Text == nil {
					return nil, errors.New(`no "text"`)
				}
				return fmt.Appendf(dst, "{\"tokens\":%d}\n", t.Count(*in.Text)), nil
			})
		}
		in, err := a.input(args, 0)
		if err != nil {
			return err
		}
		defer in.Close()
		counted := &countingReader{r: in}
		n := 0
		if err := tokenizer.EncodeReader(t, counted, func(ids []int32) error { n += len(ids); return nil }); err != nil {
			return err
		}
		return a.print(map[string]int{"tokens": n, "bytes": counted.n}, func(w io.Writer) {
			fmt.Fprintf(w, "%d tokens, %d bytes, %.2f bytes a token\n", n, counted.n, float64(counted.n)/float64(max(1, n)))
		})
	}
	return c
}

// countingReader counts what is read.
type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
