package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/recipe"
)

var update = flag.Bool("update", false, "write the golden file and the generated documentation anew")

// golden compares a generated file with the one that is committed.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(b), text, "%s is out of date: if the change is meant, write it anew with go test ./cmd/forja -run %s -update", path, t.Name())
}

// commands lists every visible command, parents first.
func commands(root *cobra.Command) (all []*cobra.Command) {
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		all = append(append(all, c), commands(c)...)
	}
	return all
}

func bare() *app { return &app{talk: newTalk(io.Discard), stdout: io.Discard} }

// flags divides a command's flags into those of its own and the recipe keys, sorted.
func flags(c *cobra.Command) (own []*flagT, keys []string) {
	c.LocalFlags().VisitAll(func(f *flagT) {
		k, isKey := f.Value.(keyFlag)
		switch {
		case f.Name == "help":
		case isKey && k.key.Name == f.Name:
			keys = append(keys, f.Name)
		default:
			own = append(own, f)
		}
	})
	return own, keys
}

func flagLine(f *flagT) string {
	s := "--" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", " + s
	}
	if f.Value.Type() != "bool" {
		s += " " + f.Value.Type()
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
		s += " = " + f.DefValue
	}
	return s
}

// TestTheCommandLineIsFrozen holds verbs, flags and recipe keys to a list: a new one is a decision, a lost one breaks
// somebody's script.
func TestTheCommandLineIsFrozen(t *testing.T) {
	var b strings.Builder
	root := bare().root()
	b.WriteString("forja\n")
	root.PersistentFlags().VisitAll(func(f *flagT) { fmt.Fprintf(&b, "  %s\n", flagLine(f)) })
	for _, c := range commands(root) {
		fmt.Fprintf(&b, "%s\n", c.UseLine())
		own, keys := flags(c)
		for _, f := range own {
			fmt.Fprintf(&b, "  %s\n", flagLine(f))
		}
		if len(keys) > 0 {
			fmt.Fprintf(&b, "  recipe keys: %s\n", strings.Join(keys, " "))
		}
	}
	b.WriteString("\nrecipe keys\n")
	for _, k := range recipe.Keys() {
		fmt.Fprintf(&b, "  %s\n", strings.TrimRight(fmt.Sprintf("%s (%s) = %s", k.Name, k.Type, k.Default), " "))
	}
	golden(t, "testdata/cli.txt", b.String())
}

func TestEveryVerbIsDescribed(t *testing.T) {
	for _, c := range commands(bare().root()) {
		assert.NotEmpty(t, c.Short, c.CommandPath())
		assert.False(t, strings.HasSuffix(c.Short, "."), "%s: one line without a full stop", c.CommandPath())
		own, _ := flags(c)
		for _, f := range own {
			assert.NotEmpty(t, f.Usage, "%s --%s", c.CommandPath(), f.Name)
		}
		for line := range strings.Lines(c.Example) {
			parses(t, "the example of "+c.CommandPath(), line)
		}
	}
}

func TestTheReferenceOfVerbsIsUpToDate(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Verbs\n\n<!-- Written by go test ./cmd/forja -run TestTheReferenceOfVerbsIsUpToDate -update -->\n\n")
	b.WriteString("`forja VERB [NOUN] [flags]`: the noun is the thing acted on. Results go to standard output, everything else to standard\n" +
		"error. Every key of a [recipe](recipes.md) that a verb reads is also a flag of it, under the same name and with the same\n" +
		"words: `--optim.learning_rate 3e-4`.\n\n| everywhere | |\n|---|---|\n")
	root := bare().root()
	row := func(f *flagT) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(flagLine(f), "|", `\|`), strings.ReplaceAll(f.Usage, "|", `\|`))
	}
	root.PersistentFlags().VisitAll(row)
	fmt.Fprintf(&b, "\n```text\n%s```\n", exitCodesHelp)
	for _, c := range commands(root) {
		fmt.Fprintf(&b, "\n## %s\n\n", strings.TrimPrefix(c.CommandPath(), "forja "))
		about := c.Short
		if c.Long != "" && c.Name() != "exit-codes" {
			about += ".\n\n```text\n" + c.Long + "\n```\n"
		} else {
			about = strings.ToUpper(about[:1]) + about[1:] + ".\n"
		}
		fmt.Fprintf(&b, "%s\n`%s`\n", about, strings.TrimSuffix(c.UseLine(), " [flags]"))
		if c.Example != "" {
			b.WriteString("\n```sh norun\n")
			for line := range strings.Lines(c.Example) {
				b.WriteString(strings.TrimSpace(line) + "\n")
			}
			b.WriteString("```\n")
		}
		own, keys := flags(c)
		if len(own)+len(keys) > 0 {
			b.WriteString("\n| flag | |\n|---|---|\n")
			for _, f := range own {
				row(f)
			}
			if len(keys) > 0 {
				fmt.Fprintf(&b, "| %d recipe keys | of %s |\n", len(keys), strings.Join(sections(keys), ", "))
			}
		}
	}
	golden(t, "../../docs/cli.md", b.String())
}

// sections lists the first words of dotted keys, in order.
func sections(keys []string) (names []string) {
	for _, k := range keys {
		name, _, _ := strings.Cut(k, ".")
		if name = "`" + name + "`"; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func TestTheReferenceOfRecipesIsUpToDate(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Recipes\n\n<!-- Written by go test ./cmd/forja -run TestTheReferenceOfRecipesIsUpToDate -update -->\n\n" +
		"A recipe is a strict YAML file that describes a run completely; the one that a run was made with, defaults included, lies\n" +
		"beside its results as `recipe.yaml`. [Verbs](cli.md) take a file's path or a built-in name:\n\n")
	for _, name := range embeddedRecipes() {
		_, src, err := readRecipe(name)
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(src), "\n")
		_, doc, ok := strings.Cut(first, ": ")
		assert.True(t, ok && strings.HasPrefix(first, "# "+name), "%s.yaml begins with its name and what it does", name)
		fmt.Fprintf(&b, "- `%s`: %s\n", name, doc)
	}
	b.WriteString("\nUnknown and duplicate keys, wrong types, tabs, anchors and tags are refused before anything starts, with file, line,\n" +
		"column and what to write instead. A recipe with `stages:` is a graph: each stage has a name, a kind and the sections of\n" +
		"that kind, sections at the top are shared by all, and a path `@stage/sub` points into another stage's directory.\n\n" +
		"As a flag, a list grows with each time that it is given, and replaces the file's; `'[a, b]'` is several items, and so is `a,b`\n" +
		"where items are words, seeds or files.\n")
	section := "\x00"
	for _, k := range recipe.Keys() {
		name, _, dotted := strings.Cut(k.Name, ".")
		if !dotted {
			name = ""
		}
		if name != section {
			if section = name; name == "" {
				b.WriteString("\n## At the top\n")
			} else {
				fmt.Fprintf(&b, "\n## %s\n", name)
			}
			b.WriteString("\n| key | type | default | read by | |\n|---|---|---|---|---|\n")
		}
		by := "all"
		if len(k.Kinds) > 0 {
			by = strings.Join(k.Kinds, ", ")
		}
		def := ""
		if k.Default != "" {
			def = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, strings.ReplaceAll(k.Type, "|", " \\| "), def, by, strings.ReplaceAll(k.Doc, "|", `\|`))
	}
	golden(t, "../../docs/recipes.md", b.String())
}
