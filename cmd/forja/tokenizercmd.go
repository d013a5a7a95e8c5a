package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func (a *app) tokenizerCmd() *cobra.Command {
	c := &cobra.Command{Use: "tokenizer", Short: "train, use and inspect tokenizers"}
	c.AddCommand(a.tokenizerTrainCmd(), a.tokenizerEncodeCmd(), a.tokenizerDecodeCmd(), a.tokenizerCountCmd(), a.tokenizerInspectCmd(),
		a.tokenizerConvertCmd(), a.tokenizerCompareCmd(), a.tokenizerBenchCmd())
	return c
}

func (a *app) tokenizerTrainCmd() *cobra.Command {
	var settings []setting
	var out, kind string
	c := &cobra.Command{Use: "train [PATH] -o DIR", Short: "train a tokenizer on documents (a file or folder; none is Go's standard library)",
		Example: "  forja tokenizer train corpus/ -o tok --tokenizer.vocab 16384\n  forja tokenizer train corpus/ -o tok --kind unigram\n  forja tokenizer train -o tok", Args: cobra.MaximumNArgs(1)}
	c.Flags().StringVarP(&out, "output", "o", "", "directory for tokenizer.json, and tokenizer.model or vocab.txt for kinds that have it")
	c.Flags().StringVar(&kind, "kind", "", "short for --tokenizer.kind: bpe, wordpiece, unigram, spm-bpe, char, byte")
	addKeys(c, &settings, "tokenizer")
	c.RunE = func(c *cobra.Command, args []string) error {
		if kind != "" {
			settings = append(settings, setting{"tokenizer.kind", kind})
		}
		if len(args) == 1 {
			settings = append(settings, setting{"data.train", args[0]})
		} else {
			settings = append([]setting{{"data.source", "goroot"}}, settings...)
		}
		return a.runSettings(c.Context(), "tokenizer", settings, out)
	}
	return c
}

// runSettings runs a stage that flags alone describe.
func (a *app) runSettings(ctx context.Context, kind string, settings []setting, out string) error {
	r, err := loadRecipe("", kind, settings)
	if err != nil {
		return err
	}
	return a.runStage(ctx, r, out)
}

// input opens what the user names: a file, or - for standard input. Reading ends when the user wants it to.
func (a *app) input(args []string, at int) (io.ReadCloser, error) {
	if len(args) <= at || args[at] == "-" {
		return interruptible(a.ctx, io.NopCloser(a.stdin)), nil
	}
	if isFolder(args[at]) {
		return nil, usagef("%s is a folder: name a file in it", args[at])
	}
	f, err := os.Open(args[at])
	if err != nil {
		return nil, usageError{err}
	}
	return interruptible(a.ctx, f), nil
}

// interruptible is a reader of which also a read that waits ends with the context.
func interruptible(ctx context.Context, r io.ReadCloser) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err) // nil is the end
		stop()
	}()
	return readCloser{out, closers{out, r}}
}

// readText reads all of an input of reasonable size.
func (a *app) readText(args []string, at int) (string, error) {
	in, err := a.input(args, at)
	if err != nil {
		return "", err
	}
	defer in.Close()
	const most = 1 << 30
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && len(b) > most {
		err = fmt.Errorf("the input is larger than %s: split it", size(most))
	}
	return string(b), err
}
