package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// An assembled kernel is what NVIDIA's assembler makes of an entry for one architecture.
type assembled struct {
	module, entry, arch string
	registers           int // of a thread
	static              int // bytes of shared memory
	stack, spills       int // bytes
	instructions        int
	tensor              map[string]int // instructions that must be there for speed
}

// telling are the opcodes worth counting: a kernel without them took the wrong path.
var telling = []string{"HMMA", "HGMMA", "LDSM", "STSM", "LDGSTS", "UTMALDG", "UTMASTG", "UTMAREDG", "USETMAXREG", "REDUX"}

var (
	compiling  = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	memory     = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	registers  = regexp.MustCompile(`Used (\d+) registers`)
	shared     = regexp.MustCompile(`(\d+) bytes smem`)
	section    = regexp.MustCompile(`^\.text\.(\w+):`)
	opcode     = regexp.MustCompile(`^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)`)
	assembler  = regexp.MustCompile(`release [0-9.]+, V([0-9.]+)`)
	moduleArch = regexp.MustCompile(`(?m)^\.target\s+(\w+)`)
)

// readAssembler reads what ptxas -v prints: the kernels, and its warnings.
func readAssembler(out string) (ks []*assembled, warned []string) {
	k := &assembled{}
	for line := range strings.Lines(out) {
		if m := compiling.FindStringSubmatch(line); m != nil {
			k = &assembled{entry: m[1], tensor: map[string]int{}}
			ks = append(ks, k)
		}
		if strings.Contains(line, "warning") || strings.Contains(line, "Potential Performance Loss") {
			warned = append(warned, strings.TrimSpace(line))
		}
		if m := memory.FindStringSubmatch(line); m != nil {
			k.stack, k.spills = number(m[1]), number(m[2])+number(m[3])
		}
		if m := registers.FindStringSubmatch(line); m != nil {
			k.registers = number(m[1])
		}
		if m := shared.FindStringSubmatch(line); m != nil {
			k.static = number(m[1])
		}
	}
	slices.SortFunc(ks, func(a, b *assembled) int { return cmp.Compare(a.entry, b.entry) })
	return ks, warned
}

// countOpcodes reads what nvdisasm -c prints.
func countOpcodes(out string, ks []*assembled) {
	var k *assembled
	for line := range strings.Lines(out) {
		if m := section.FindStringSubmatch(line); m != nil {
			k = nil
			if i := slices.IndexFunc(ks, func(k *assembled) bool { return k.entry == m[1] }); i >= 0 {
				k = ks[i]
			}
		}
		if m := opcode.FindStringSubmatch(line); m != nil && k != nil {
			k.instructions++
			if slices.Contains(telling, m[1]) {
				k.tensor[m[1]]++
			}
		}
	}
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits) // of a regular expression's digits
	return n
}

func (k *assembled) row() string {
	counts := []string{}
	for _, op := range telling {
		if n := k.tensor[op]; n > 0 {
			counts = append(counts, fmt.Sprintf("%s %d", op, n))
		}
	}
	return fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s", k.module, k.entry, k.arch, k.registers, k.static, k.stack, k.spills, k.instructions,
		strings.Join(counts, ", "))
}

// tools are ptxas and nvdisasm.
type tools struct{ ptxas, nvdisasm, version string }

var errNoTools = errors.New("ptxas and nvdisasm are not in $CUDA_TOOLS or the PATH; they are in NVIDIA's toolkit 12 (Debian: nvidia-cuda-toolkit) and optional")

func findTools(dir string) (t tools, err error) {
	for name, path := range map[string]*string{"ptxas": &t.ptxas, "nvdisasm": &t.nvdisasm} {
		if dir != "" {
			name = filepath.Join(dir, name)
		}
		if *path, err = exec.LookPath(name); err != nil {
			return t, fmt.Errorf("%w: %w", errNoTools, err)
		}
	}
	out, err := exec.Command(t.ptxas, "--version").Output()
	m := assembler.FindSubmatch(out)
	if err != nil || m == nil {
		return t, fmt.Errorf("%s --version: %q: %w", t.ptxas, out, err)
	}
	t.version = string(m[1])
	return t, nil
}

// assemble is all kernels of a module for one architecture.
func (t tools) assemble(name, text, arch, dir string) ([]*assembled, []string, error) {
	in, cubin := filepath.Join(dir, name+"."+arch+".ptx"), filepath.Join(dir, name+"."+arch+".cubin")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	out, err := exec.Command(t.ptxas, "-v", "-arch="+arch, "-o", cubin, in).CombinedOutput()
	if err != nil {
		return nil, nil, fmt.Errorf("ptxas -arch=%s of module %s: %w\n%s", arch, name, err, out)
	}
	ks, warned := readAssembler(string(out))
	if out, err = exec.Command(t.nvdisasm, "-c", cubin).Output(); err != nil {
		return nil, nil, fmt.Errorf("nvdisasm of module %s: %w", name, err)
	}
	countOpcodes(string(out), ks)
	for _, k := range ks {
		k.module, k.arch = name, arch
	}
	return ks, warned, nil
}

// architectures are what a module's PTX runs on that is worth a look.
func architectures(text string) []string {
	if m := moduleArch.FindStringSubmatch(text); m != nil && m[1] == "sm_90a" {
		return []string{"sm_90a"}
	}
	return []string{"sm_80", "sm_90a"}
}

// sass assembles everything, and compares with the table or writes it. Spills and warnings are errors.
func (t tree) sass(dir string, write bool, say func(string)) error {
	nv, err := findTools(dir)
	if err != nil {
		return err
	}
	names, err := t.modules()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "sass")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	ks, errs := make([][]*assembled, len(names)), make([]error, len(names))
	parallel(len(names), func(i int) { ks[i], errs[i] = nv.module(t, names[i], work) })
	rows := []string{"module\tkernel\tarchitecture\tregisters\tshared\tstack\tspills\tinstructions\ttensor cores and copies"}
	for _, k := range slices.Concat(ks...) {
		rows = append(rows, k.row())
		if k.spills > 0 {
			errs = append(errs, fmt.Errorf("%s on %s spills %d bytes", k.entry, k.arch, k.spills))
		}
	}
	table := "What ptxas " + nv.version + " makes of the kernels. Written by kernels/cuda/gen sass -w.\n\n" + align(rows)
	return errors.Join(append(errs, t.compare(table, write, say))...)
}

// module assembles one module for all architectures. Warnings are errors.
func (t tools) module(tr tree, name, dir string) (ks []*assembled, err error) {
	text, err := tr.read(name)
	if err != nil {
		return nil, err
	}
	for _, arch := range architectures(text) {
		more, warned, e := t.assemble(name, text, arch, dir)
		ks, err = append(ks, more...), errors.Join(err, e)
		for _, w := range warned {
			err = errors.Join(err, fmt.Errorf("module %s on %s: %s", name, arch, w))
		}
	}
	return ks, err
}

// align makes columns of rows of fields.
func align(rows []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(rows, "\n"))
	w.Flush()
	var lines []string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Join(lines, "\n") + "\n"
}

// compare holds the committed table to what it should be. Another assembler's table is not compared.
func (t tree) compare(table string, write bool, say func(string)) error {
	path := filepath.Join(string(t), "ptx", "sass.txt")
	old, err := os.ReadFile(path)
	if write {
		return replace(path, []byte(table))
	}
	if err != nil {
		return err
	}
	title := func(s string) string { first, _, _ := strings.Cut(s, "\n"); return first }
	if title(string(old)) != title(table) {
		say("not compared with " + path + ", which is from another version: " + title(string(old)))
		return nil
	}
	if diff := firstDifference(string(old), table); diff != "" {
		return fmt.Errorf("%s differs from what is assembled (write it with sass -w): %s", path, diff)
	}
	return nil
}

// firstDifference shows the first lines that differ, empty if none do.
func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(as), len(bs)) {
		line := func(s []string) string {
			if i < len(s) {
				return s[i]
			}
			return "nothing"
		}
		if line(as) != line(bs) {
			return fmt.Sprintf("line %d is %q, want %q", i+1, line(as), line(bs))
		}
	}
	return ""
}
