package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asForja makes this test binary be forja: stages and jobs are children of the program itself.
const asForja = "FORJA_TEST_AS_FORJA"

func TestMain(m *testing.M) {
	pdfLimits.Time, pdfLimits.Memory = time.Second, 256<<20                      // files in tests are small
	if os.Getenv(asForja) != "" || len(os.Args) == 3 && os.Args[2] == pdfChild { // which inherits no environment
		main() // does not return
	}
	os.Setenv(asForja, "1")
	temp, err := os.MkdirTemp("", "forja-test-")
	if err != nil {
		panic(err)
	}
	os.Setenv("FORJA_HOME", filepath.Join(temp, "home"))
	fixtures.dir = temp
	code := m.Run()
	os.RemoveAll(temp)
	os.Exit(code)
}

// A result is what one run of the program gave.
type result struct {
	code        int
	stdout, err string
}

// forja runs the program in this process.
func forja(t testing.TB, args ...string) result { return forjaIn(t, "", args...) }

func forjaIn(t testing.TB, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(stdin), &out, &err)
	return result{code, out.String(), err.String()}
}

// done requires success.
func (r result) done(t testing.TB) result {
	t.Helper()
	require.Equal(t, exitDone, r.code, "%s", r.err)
	return r
}

// A process is the program as a child.
type process struct {
	*exec.Cmd
	stdout, stderr output
}

// An output may be read while it grows.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs the program as a child, which is killed when the test ends.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...)}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	return p
}

// end waits for the exit code; a child that a signal killed has -1.
func (p *process) end(t testing.TB) int {
	t.Helper()
	watchdog := time.AfterFunc(60*time.Second, func() { _ = p.Process.Signal(syscall.SIGQUIT) })
	defer watchdog.Stop()
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

// until waits for a condition.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !met(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.Fail(t, "waited a minute until "+what)
		}
	}
}

// small shrinks the recipe tiny to a model that trains in a fraction of a second.
func small(more ...string) []string {
	return append([]string{"tiny", "--model.layers", "1", "--model.channels", "32", "--model.heads", "2", "--model.kv_heads", "1",
		"--model.context", "32", "--data.max_bytes", "60000", "--tokenizer.vocab", "300", "--batch.rows", "4", "--train.steps", "20",
		"--train.save_every", "5", "--train.eval_every", "10", "--train.eval_tokens", "512", "--sample.tokens", "8"}, more...)
}

func pretrain(dir string, more ...string) []string {
	return append(append([]string{"pretrain"}, small("-o", dir)...), more...)
}

// fixtures are made once and only read.
var fixtures struct {
	dir string
	run sync.Once
	ok  bool
}

// trained is the directory of a finished run of small.
func trained(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(fixtures.dir, "trained")
	fixtures.run.Do(func() { fixtures.ok = forja(t, pretrain(dir)...).code == exitDone })
	require.True(t, fixtures.ok, "the fixture's training failed")
	return dir
}

// copied is a copy of trained that a test may damage.
func copied(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.CopyFS(dir, os.DirFS(trained(t))))
	return dir
}

// write makes a file in a temporary directory and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// pairs are a few questions and answers.
func pairs(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, w := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight"} {
		b.WriteString(`{"prompt":"` + w + `?","completion":"` + w + `."}` + "\n")
	}
	return write(t, "pairs.jsonl", b.String())
}
