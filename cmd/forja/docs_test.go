package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A block is the fenced commands of a page: ```sh is run by a test, ```sh norun is only parsed.
type block struct {
	page  string
	line  int
	runs  bool
	lines []string
}

// pages are the documents that people read, in reading order.
func pages(t *testing.T) (names []string) {
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../bench/*.md", "../../bench/peers/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		slices.Sort(found)
		names = append(names, found...)
	}
	require.NotEmpty(t, names)
	return names
}

func blocks(t *testing.T, page string) (all []block) {
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	var open *block
	for i, line := range strings.Split(string(b), "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && open != nil:
			all = append(all, *open)
			open = nil
		case fence && (line == "```sh" || line == "```sh norun"):
			open = &block{page: page, line: i + 1, runs: line == "```sh"}
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	require.Nil(t, open, "%s: a fence is not closed", page)
	return all
}

// parses holds a line of shell to the command tree: verbs, flags, number of arguments and names of recipes must be there.
func parses(t *testing.T, where, line string) {
	t.Helper()
	words := shellWords(line)
	for len(words) > 0 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") { // VARIABLE=value forja …
		words = words[1:]
	}
	if len(words) == 0 || words[0] != "forja" && words[0] != "./forja" {
		return
	}
	a := bare()
	a.args = words[1:]
	root := a.root()
	c, rest, err := root.Find(a.args)
	if !assert.NoError(t, err, "%s: %s", where, line) {
		return
	}
	if takesMore := strings.Contains(c.Use, " "); len(rest) > 0 && c.HasSubCommands() && c != root && !takesMore {
		assert.Fail(t, "unknown verb", "%s: %s", where, line)
	}
	if err := c.ParseFlags(rest); errors.Is(err, pflag.ErrHelp) || !assert.NoError(t, err, "%s: %s", where, line) {
		return
	}
	args := c.Flags().Args()
	assert.NoError(t, c.ValidateArgs(args), "%s: %s", where, line)
	if len(args) > 0 && slices.Contains([]string{"plan", "pretrain", "sft", "run", "show"}, c.Name()) && c.Flags().Lookup("optim.kind") != nil {
		assert.True(t, strings.ContainsAny(args[0], "./") || slices.Contains(embeddedRecipes(), args[0]) || strings.ToUpper(args[0]) == args[0],
			"%s: there is no recipe %s", where, args[0])
	}
	if f := c.Flags().Lookup("recipe"); f != nil && f.Value.String() != "" && !strings.ContainsAny(f.Value.String(), "./") {
		assert.Contains(t, embeddedRecipes(), f.Value.String(), "%s: %s", where, line)
	}
}

// shellWords splits the first command of a line of shell: quotes are understood, and comments, redirections and pipes end
// it.
func shellWords(line string) (words []string) {
	var word strings.Builder
	var quote rune
	in := false
	end := func() {
		if in {
			words = append(words, word.String())
		}
		word.Reset()
		in = false
	}
	for _, r := range line {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ' || r == '\t' || r == '\n':
			end()
		case r == '#' && !in, r == '|', r == '<', r == '>', r == '&', r == ';':
			end()
			return words
		default:
			word.WriteRune(r)
			in = true
		}
	}
	end()
	return words
}

func TestDocumentedCommandsParse(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			text := strings.ReplaceAll(strings.Join(b.lines, "\n"), "\\\n", " ")
			for line := range strings.Lines(text) {
				for part := range strings.SplitSeq(line, "&&") {
					parses(t, page, part)
					found++
				}
			}
		}
	}
	require.Greater(t, found, 20)
}

func TestLinksInThePagesLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		b, err := os.ReadFile(page)
		require.NoError(t, err)
		for part := range strings.SplitSeq(string(b), "](") {
			target, _, ok := strings.Cut(part, ")")
			target, _, _ = strings.Cut(target, "#")
			if !ok || target == "" || strings.Contains(target, "://") || strings.ContainsAny(target, " \n`") {
				continue
			}
			if part == strings.Split(string(b), "](")[0] {
				continue // before the first link
			}
			_, err := os.Stat(filepath.Join(filepath.Dir(page), target))
			assert.NoError(t, err, "%s links to %s", page, target)
		}
	}
}

// TestDocumentedCommandsRun runs every sh block of the pages of docs, in order and in one directory, as a reader would.
// It takes a minute, hence FORJA_LONG=1.
func TestDocumentedCommandsRun(t *testing.T) {
	if os.Getenv("FORJA_LONG") != "1" {
		t.Skip("a minute long: FORJA_LONG=1 runs it")
	}
	bin, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "forja"), []byte("#!/bin/sh\nexec '"+os.Args[0]+"' \"$@\"\n"), 0o755))
	for _, page := range pages(t) {
		if filepath.Base(filepath.Dir(page)) != "docs" {
			continue
		}
		for _, b := range blocks(t, page) {
			if !b.runs {
				continue
			}
			cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(b.lines, "\n"))
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "FORJA_HOME="+filepath.Join(dir, "home"))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s:%d\n%s\n%s", b.page, b.line, strings.Join(b.lines, "\n"), out)
		}
	}
}
