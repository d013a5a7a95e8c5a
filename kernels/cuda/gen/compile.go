package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"forja/kernels/cuda/ptx"
)

const defaultClang = "clang-22"

// howToGetClang is part of the error where the compiler is missing.
const howToGetClang = `%w
the kernels are compiled by clang 20 or newer; the committed PTX comes from clang-22 of Debian (apt-get install clang-22).
Name another one with CLANG=... No NVIDIA software is needed`

// arguments are what the compiler is given for a source, but for input and output. The target follows from the name: *_sm90
// is for compute capability 9.0 alone, everything else for 8.0 and newer.
func arguments(name string) []string {
	arch, version := "sm_80", "+ptx70"
	if strings.HasSuffix(name, "_sm90") {
		arch, version = "sm_90a", "+ptx80"
	}
	return []string{"-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-std=c++17", "-O3", "-Wall", "-Wno-unused-function", "-Wno-cuda-compat",
		"--cuda-gpu-arch=" + arch, "-Xclang", "-target-feature", "-Xclang", version}
}

// A compiler is a clang and what it calls itself.
type compiler struct{ path, version string }

func newCompiler(path string) (compiler, error) {
	path = cmp.Or(path, defaultClang)
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return compiler{}, fmt.Errorf(howToGetClang, err)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	return compiler{path, strings.TrimSpace(version)}, nil
}

// run compiles or preprocesses a source.
func (c compiler) run(t tree, name string, mode ...string) (string, error) {
	cmd := exec.Command(c.path, append(append(arguments(name), mode...), name+".cu", "-o", "-")...)
	cmd.Dir = t.src()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s.cu: %w\n%s", name, err, strings.TrimSpace(errs.String()))
	}
	if errs.Len() > 0 {
		return out.String(), &warnings{strings.TrimSpace(errs.String())}
	}
	return out.String(), nil
}

// warnings are reported and do not stop anything.
type warnings struct{ text string }

func (w *warnings) Error() string { return w.text }

// compile is the text of a module, with its header.
func (c compiler) compile(t tree, name string) (string, error) {
	hash, err := t.hash(name)
	if err != nil {
		return "", err
	}
	source, err := c.run(t, name, "-E", "-P")
	if err != nil && !isWarning(err) {
		return "", err
	}
	ks, err := signatures(source)
	if err != nil {
		return "", fmt.Errorf("%s.cu: %w", name, err)
	}
	text, warned := c.run(t, name, "-S")
	if warned != nil && !isWarning(warned) {
		return "", warned
	}
	if again, err := t.hash(name); err != nil || again != hash {
		return c.compile(t, name) // somebody is editing
	}
	var b strings.Builder
	fmt.Fprintf(&b, "// forja module: %s\n// compiler: %s\n// source: %s\n", name, c.version, hash)
	for _, k := range ks {
		fmt.Fprintf(&b, "// kernel: %s\n", k)
		if k.Cluster > 1 {
			if text, err = clustered(text, k); err != nil {
				return "", fmt.Errorf("%s.cu: %w", name, err)
			}
		}
	}
	b.WriteString(text)
	if _, err := ptx.Kernels(b.String()); err != nil {
		return "", fmt.Errorf("%s.cu: %w", name, err)
	}
	return b.String(), warned
}

func isWarning(err error) bool {
	var w *warnings
	return errors.As(err, &w)
}

// clustered adds the size of the cluster to an entry: clang 22 parses the attribute and forgets it. As nvcc does, it says that
// there is no launch without clusters: else ptxas makes code for both, and a launch that is not one would wait for ever.
func clustered(text string, k ptx.Kernel) (string, error) {
	const after = ".maxntid "
	entry := strings.Index(text, ".entry "+k.Entry+"(")
	if entry < 0 {
		return "", fmt.Errorf("kernel %s is not in the output", k.Entry)
	}
	at := strings.Index(text[entry:], after)
	if at < 0 {
		return "", fmt.Errorf("kernel %s has no number of threads", k.Entry)
	}
	at += entry
	return text[:at] + ".explicitcluster\n.reqnctapercluster " + strconv.Itoa(k.Cluster) + ", 1, 1\n" + text[at:], nil
}

var headerField = regexp.MustCompile(`(?m)^// (compiler|source): (.*)$`)

// fresh reports whether a module was made by this compiler from what the source is now.
func (c compiler) fresh(t tree, name, text string) bool {
	hash, err := t.hash(name)
	return err == nil && fields(text) == [2]string{c.version, hash}
}

// fields are the compiler and the source of a module.
func fields(text string) (f [2]string) {
	for _, m := range headerField.FindAllStringSubmatch(text[:min(len(text), 1000)], -1) {
		f[map[string]int{"compiler": 0, "source": 1}[m[1]]] = m[2]
	}
	return f
}

// build brings all modules and launches.go up to date and returns what could not be compiled.
func (t tree) build(clang string, say func(string)) error {
	c, err := newCompiler(clang)
	if err != nil {
		return err
	}
	names, err := t.sources()
	if err != nil {
		return err
	}
	errs := make([]error, len(names))
	parallel(len(names), func(i int) { errs[i] = c.update(t, names[i], say) })
	errs = append(errs, t.removeOrphans(names), t.writeLaunches(say))
	return errors.Join(errs...)
}

// parallel calls f for 0 to n-1.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

// update compiles one source if it changed.
func (c compiler) update(t tree, name string, say func(string)) error {
	old, err := t.read(name)
	if err == nil && c.fresh(t, name, old) {
		return nil
	}
	text, err := c.compile(t, name)
	if isWarning(err) {
		say(err.Error())
		err = nil
	}
	if err != nil || text == old {
		return err
	}
	say(name)
	return t.write(name, text)
}

// removeOrphans deletes modules whose source is gone.
func (t tree) removeOrphans(names []string) error {
	modules, err := t.modules()
	if err != nil {
		return err
	}
	for _, m := range modules {
		found := false
		for _, n := range names {
			found = found || n == m
		}
		if !found {
			err = errors.Join(err, os.Remove(t.module(m)))
		}
	}
	return err
}
