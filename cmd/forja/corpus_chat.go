package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/corpus/dialogue"
	"forja/engine/corpus/extract"
	"forja/engine/corpus/warc"
)

func (a *app) corpusChatCmd() *cobra.Command {
	var lines bool
	var url string
	var at shareFlags
	config := dialogue.Default()
	c := &cobra.Command{Use: "chat FILE...", Short: "questions with their answers in web pages, books and mailboxes, to tune a model with",
		Long: "chat finds conversations: what pages declare as questions and answers (schema.org), headings of FAQs and documentation that\n" +
			"ask, threads of forums, and mailing lists. It reads what extract reads: HTML, EPUB, mbox, Markdown, plain text, packed with gzip\n" +
			"or not, and WARC files. - is standard input. With --jsonl it prints what forja sft reads. With --in and --out it makes a file\n" +
			"of conversations of every file of a store: there, the same command goes on after a stop, and processes with different --shard,\n" +
			"on one machine or many, share the work.",
		Example: "  forja corpus chat faq.html\n  forja corpus chat --jsonl site/warc/*.warc.gz > chats.jsonl\n  forja corpus chat --jsonl --chat.languages pt --chat.max_answer 2000 lista.mbox > chats.jsonl\n" +
			"  forja corpus chat --in site/warc --out chats --shard 3/16",
		Args: filesOrStore(&at)}
	c.Flags().BoolVar(&lines, "jsonl", false, `one {"messages":[{"role","content"},...],"url","type","license","lang",...} per conversation, in the order of the files`)
	c.Flags().StringVar(&url, "url", "", "where the only file came from")
	c.Flags().StringSliceVar(&config.Languages, "chat.languages", nil, "keep conversations in these languages")
	for _, k := range config.Keys() {
		switch v := k.Value.(type) {
		case *float64:
			c.Flags().Float64Var(v, k.Name, *v, k.Help)
		case *int:
			c.Flags().IntVar(v, k.Name, *v, k.Help)
		case *bool:
			c.Flags().BoolVar(v, k.Name, *v, k.Help)
		}
	}
	at.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if at.given() {
			if lines || url != "" {
				return usagef("with --in and --out there is nothing to print, and URLs are those of the pages")
			}
			if !slices.Contains([]string{"jsonl.gz", "jsonl"}, at.format) {
				return usagef("--format %s: conversations are jsonl.gz or jsonl, which forja sft reads", at.format)
			}
			w, err := at.open(c.Context())
			if err != nil {
				return err
			}
			defer w.Close()
			r, err := a.chatStore(c.Context(), w, config)
			if err != nil {
				return err
			}
			return a.printReport(r)
		}
		if url != "" && len(args) != 1 {
			return usagef("--url is of one file, and %d are given", len(args))
		}
		return a.chats(c.Context(), config, args, url, lines || a.json)
	}
	return c
}

// A chatSource is a file, or a page of an archive, in which conversations may be.
type chatSource struct {
	name string // of the file
	page *warc.Page
	err  error
}

// chatSources yields files and the pages of archives, in order. A file that cannot be read does not end it.
func chatSources(ctx context.Context, files []string) iter.Seq2[chatSource, error] {
	return func(yield func(chatSource, error) bool) {
		for _, name := range files {
			if !isArchive(name) {
				if !yield(chatSource{name: name}, nil) {
					return
				}
				continue
			}
			for page, err := range archivePages(ctx, name) {
				if !yield(chatSource{name, &page, err}, nil) {
					return
				}
			}
		}
	}
}

// A chatResult is what became of a source.
type chatResult struct {
	id    string
	bytes int
	found dialogue.Found
	err   error
}

// chats prints the conversations of files in their order. A file that cannot be read is told on standard error; the rest go on.
func (a *app) chats(ctx context.Context, config dialogue.Config, files []string, url string, lines bool) error {
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	read, failed, written, show := 0, 0, 0, a.mayShow(true)
	dropped := map[string]int{}
	for r, err := range inOrder(ctx, chatSources(ctx, files), func(s chatSource) (chatResult, error) {
		switch {
		case s.err != nil:
			return chatResult{err: s.err}, nil
		case s.page != nil:
			return chatsOfPage(config, *s.page, filepath.Base(s.name)), nil
		}
		return a.chatsOfFile(config, s.name, url), nil
	}) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		if read++; show {
			a.talk.progress("%d conversations in %d documents", written, read)
		}
		if r.err != nil {
			failed++
			a.talk.printf("! %v", r.err)
		}
		for _, d := range r.found.Dropped {
			dropped[d.Reason] += d.Questions
		}
		write := writeChats
		if !lines {
			write = showChats
		}
		if err := write(out, r.found.Conversations); err != nil {
			return err
		}
		written += len(r.found.Conversations)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	a.talk.printf("%d conversations in %d documents%s", written, read, droppedReasons(dropped))
	if failed > 0 {
		return fmt.Errorf("%d of %d documents could not be read", failed, read)
	}
	return nil
}

// droppedReasons says why questions were left out, the most frequent reason first.
func droppedReasons(dropped map[string]int) string {
	drops := make([]dialogue.Drop, 0, len(dropped))
	for reason, n := range dropped {
		drops = append(drops, dialogue.Drop{Reason: reason, Questions: n})
	}
	slices.SortFunc(drops, func(x, y dialogue.Drop) int {
		return cmp.Or(y.Questions-x.Questions, strings.Compare(x.Reason, y.Reason))
	})
	var b strings.Builder
	for k, d := range drops {
		b.WriteString([]string{"; left out: ", ", "}[min(k, 1)])
		fmt.Fprintf(&b, "%d %s", d.Questions, d.Reason)
	}
	return b.String()
}

// writeChats writes conversations as lines of JSON.
func writeChats(w io.Writer, chats []dialogue.Conversation) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, c := range chats {
		if err := e.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// showChats writes conversations for people.
func showChats(w io.Writer, chats []dialogue.Conversation) error {
	for _, c := range chats {
		for _, m := range c.Messages {
			if _, err := fmt.Fprintf(w, "%s: %s\n\n", m.Role, m.Content); err != nil {
				return err
			}
		}
	}
	return nil
}

// chatsOfPage finds the conversations of a page of an archive. One in no known format has none.
func chatsOfPage(config dialogue.Config, p warc.Page, archive string) chatResult {
	found, err := dialogue.Read(config, extract.Source{URL: p.URL, ContentType: p.ContentType}, p.Body)
	if errors.Is(err, extract.ErrFormat) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s in %s: %w", p.URL, archive, err)
	}
	for k := range found.Conversations {
		found.Conversations[k].ID, found.Conversations[k].Source = p.ID, archive
	}
	return chatResult{p.ID, len(p.Body), found, err}
}

func (a *app) chatsOfFile(config dialogue.Config, name, url string) chatResult {
	in, err := a.input([]string{name}, 0)
	if err != nil {
		return chatResult{id: name, err: err}
	}
	defer in.Close()
	r := chatsOfReader(config, filepath.Base(name), url, in)
	if r.err != nil {
		r.err = ofFile([]string{name}, r.err)
	}
	return r
}

// chatsOfReader finds the conversations of a file, packed or not, whose name is their ID.
func chatsOfReader(config dialogue.Config, name, url string, in io.Reader) chatResult {
	plain, in, err := unpack(name, in)
	if err != nil {
		return chatResult{id: name, err: err}
	}
	b, err := io.ReadAll(io.LimitReader(in, extract.MaxInput+1))
	if err != nil {
		return chatResult{id: name, err: err}
	}
	found, err := dialogue.Read(config, extract.Source{Name: plain, URL: url}, b)
	if err != nil {
		err = unreadable{err}
	}
	for k := range found.Conversations {
		found.Conversations[k].ID = name
	}
	return chatResult{name, len(b), found, err}
}
