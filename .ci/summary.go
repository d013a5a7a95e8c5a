// Command summary reads `go test -json` and prints what `go test` would: a line for each package and the output of
// every test that failed, and why tests were skipped. It fails where a test failed, where a test was skipped for want of
// shared data although that is there, and where no test ran.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// An event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// counts are of tests and their sub-tests.
type counts struct{ Passed, Failed, Skipped int }

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

func main() {
	add := flag.String("counts", "", "file to which a line of counts is added")
	total := flag.String("total", "", "print the sum of such a file, and do nothing else")
	flag.Parse()
	if *total != "" {
		sum, err := sumOf(*total)
		if err != nil {
			fmt.Fprintln(os.Stderr, "summary:", err)
			os.Exit(1)
		}
		fmt.Println(sum)
		return
	}
	c, missed, err := read(os.Stdin, os.Stdout)
	if err == nil && *add != "" {
		err = appendLine(*add, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	fmt.Println(c)
	for _, m := range missed {
		fmt.Println("skipped, though the shared data is there:", m)
	}
	if c.Failed > 0 || c.Passed == 0 || len(missed) > 0 {
		os.Exit(1)
	}
}

// read copies events to w as text and counts them. missed are tests that did not see the shared data that exists.
func read(r io.Reader, w io.Writer) (c counts, missed []string, err error) {
	shared := sharedExists()
	output := map[string][]string{} // of the tests that run
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintf(w, "%s\n", lines.Bytes()) // make's own words, or a compiler's
			continue
		}
		key := e.Package + "." + e.Test
		switch {
		case e.Action == "build-output":
			fmt.Fprint(w, e.Output)
		case e.Action == "build-fail":
			c.Failed++
		case e.Test == "" && e.Action == "output":
			if e.Output != "PASS\n" {
				fmt.Fprint(w, e.Output)
			}
		case e.Test == "" && e.Action == "fail":
			c.Failed++ // the package: a test of it, or its process
		case e.Test == "":
		case e.Action == "output":
			output[key] = append(output[key], e.Output)
		case e.Action == "pass":
			c.Passed++
			delete(output, key)
		case e.Action == "skip":
			c.Skipped++
			said := reason(output[key])
			fmt.Fprintf(w, "skip\t%s: %s\n", key, said)
			if shared && strings.Contains(said, "shared data") {
				missed = append(missed, key+": "+said)
			}
			delete(output, key)
		case e.Action == "fail":
			c.Failed++
			fmt.Fprint(w, strings.Join(output[key], ""))
			delete(output, key)
		}
	}
	for key, said := range output { // tests whose process ended under them
		fmt.Fprintf(w, "unfinished %s\n%s", key, strings.Join(said, ""))
	}
	return c, missed, lines.Err()
}

// reason is what a skipped test said, without Go's own lines.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}

// sharedExists says whether tests can find the shared data: $FORJA_SHARED, or a folder beside the module.
func sharedExists() bool {
	root := os.Getenv("FORJA_SHARED")
	if root == "" {
		root = filepath.Join("..", "shared")
	}
	_, err := os.Stat(filepath.Join(root, "data"))
	return err == nil
}

func appendLine(path string, c counts) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, c)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func sumOf(path string) (sum counts, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return sum, err
	}
	for line := range strings.Lines(string(b)) {
		var c counts
		if _, err := fmt.Sscanf(line, "%d passed, %d failed, %d skipped", &c.Passed, &c.Failed, &c.Skipped); err != nil {
			return sum, fmt.Errorf("%s: %w", path, err)
		}
		sum.Passed, sum.Failed, sum.Skipped = sum.Passed+c.Passed, sum.Failed+c.Failed, sum.Skipped+c.Skipped
	}
	return sum, nil
}
