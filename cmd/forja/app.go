package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/recipe"
)

// version is set by the linker.
var version = "unknown"

// An app is one run of the program.
type app struct {
	ctx    context.Context // ends when the user wants it to
	args   []string
	stdin  io.Reader
	stdout io.Writer
	talk   *talk
	json   bool
	quiet  bool
	told   bool // what --device auto came to
}

const banner = "forja trains, aligns and runs language models: one binary, no Python, no CUDA toolkit."

// root builds the command tree.
func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:           "forja",
		Short:         banner,
		Long:          banner + "\n\nStart here:  forja speedrun   (tokenizer, pretraining, LoRA and a chat, in minutes on two cores)",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.talk.quiet = a.quiet
		},
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.PersistentFlags().BoolVar(&a.json, "json", false, "print the result as JSON")
	c.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors")
	c.SetFlagErrorFunc(flagError)
	groups := []struct {
		id, title string
		verbs     []*cobra.Command
	}{
		{"start", "Start here", []*cobra.Command{a.speedrunCmd(), a.doctorCmd(), a.recipesCmd()}},
		{"data", "Data", []*cobra.Command{a.crawlCmd(), a.corpusCmd(), a.tokenizerCmd()}},
		{"train", "Train", []*cobra.Command{a.planCmd(), a.pretrainCmd(), a.sftCmd()}},
		{"use", "Use", []*cobra.Command{a.generateCmd(), a.chatCmd(), a.evalCmd(), a.showCmd(), a.mergeCmd()}},
		{"runs", "Runs", []*cobra.Command{a.runCmd(), a.jobsCmd(), a.logsCmd(), a.cancelCmd(), a.compareCmd(), a.benchCmd(), a.debugCmd(), a.versionCmd()}},
	}
	for _, g := range groups {
		c.AddGroup(&cobra.Group{ID: g.id, Title: g.title + ":"})
		for _, v := range g.verbs {
			v.GroupID = g.id
			c.AddCommand(v)
		}
	}
	c.AddCommand(a.stageCmd(), a.schedulerCmd(), &cobra.Command{Use: "exit-codes", Short: "what forja's exit codes mean", Long: exitCodesHelp,
		Run: func(*cobra.Command, []string) { fmt.Fprint(a.stdout, exitCodesHelp) }})
	strict(c)
	return c
}

// strict makes a group of verbs refuse unknown ones, and wraps argument errors as usage errors: cobra by itself prints
// help and succeeds.
func strict(c *cobra.Command) {
	for _, sub := range c.Commands() {
		strict(sub)
	}
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usagef("%s: %w\n   usage: %s", c.CommandPath(), err, c.UseLine())
			}
			return nil
		}
	}
	if !c.HasSubCommands() || c.RunE != nil || c.Run != nil {
		return
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, given []string) error {
		if len(given) == 0 {
			return c.Help()
		}
		var names []string
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				names = append(names, sub.Name())
			}
		}
		hint := ""
		if s := recipe.Suggest(given[0], names); s != "" {
			hint = fmt.Sprintf("\n   did you mean %q?", s)
		}
		return usagef("unknown verb %q for %s%s\n   verbs: %s", given[0], c.CommandPath(), hint, strings.Join(names, ", "))
	}
}

// flagError adds a suggestion to an unknown flag.
func flagError(c *cobra.Command, err error) error {
	msg := err.Error()
	name, ok := strings.CutPrefix(msg, "unknown flag: --")
	if !ok {
		return usageError{err}
	}
	var names []string
	visit := c.Flags()
	visit.VisitAll(func(f *flagT) { names = append(names, f.Name) })
	if s := recipe.Suggest(name, names); s != "" {
		return usagef("unknown flag --%s\n   did you mean --%s?", name, s)
	}
	return usagef("unknown flag --%s\n   flags: %s --help", name, c.CommandPath())
}

// print writes a result: as JSON with --json, else as text.
func (a *app) print(v any, text func(w io.Writer)) error {
	a.talk.clear()
	if !a.json {
		var b bytes.Buffer
		text(&b)
		_, err := a.stdout.Write(b.Bytes())
		return err
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
