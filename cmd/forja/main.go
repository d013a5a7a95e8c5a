// Command forja trains, aligns and runs language models from one binary.
//
// This package is flags, the terminal and exit codes: one file for each verb, and stage_*.go for what a stage of a recipe
// does. Everything else is in engine, tokenizer and kernels.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// The first Ctrl-C or SIGTERM finishes the step and saves. A second Ctrl-C ends the process at once; a second SIGTERM
	// does not, since a scheduler that was restarted repeats itself.
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(&stopRequest{<-signals})
		for s := range signals {
			if s == os.Interrupt {
				os.Exit(exitInterrupted)
			}
		}
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, args: args, stdin: stdin, stdout: stdout, talk: newTalk(stderr)}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.end(ctx, root.ExecuteContext(ctx))
}
