package ptx

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Kernel is what a launch must know of an entry.
type Kernel struct {
	Entry   string
	Target  string // sm_80 or sm_90a
	Threads int    // of a block, exactly
	Cluster int    // blocks of a cluster, 1 without
	Params  []Param
}

// A Param is a parameter of a kernel.
type Param struct{ Name, Type string }

// Types are the types of parameters, as headers of modules name them.
var Types = map[string]struct{ Size, Align int }{
	"ptr": {8, 8}, "int32": {4, 4}, "uint32": {4, 4}, "int64": {8, 8}, "uint64": {8, 8}, "float32": {4, 4}, "tensormap": {128, 64},
}

// Size is the number of bytes of the parameters, laid out as in C.
func (k Kernel) Size() int {
	n := 0
	for _, p := range k.Params {
		t := Types[p.Type]
		n = (n+t.Align-1)/t.Align*t.Align + t.Size
	}
	return n
}

// String is the kernel's signature, as in the header of a module.
func (k Kernel) String() string {
	var ps []string
	for _, p := range k.Params {
		ps = append(ps, p.Type+" "+p.Name)
	}
	return k.Entry + "(" + strings.Join(ps, ", ") + ")"
}

var (
	signature   = regexp.MustCompile(`(?m)^// kernel: (\w+)\((.*)\)$`)
	target      = regexp.MustCompile(`(?m)^\.target\s+(\w+)`)
	threads     = regexp.MustCompile(`\.maxntid\s+(\d+)`)
	cluster     = regexp.MustCompile(`\.reqnctapercluster\s+(\d+)`)
	declaration = regexp.MustCompile(`\.param\s+(?:\.(u32|u64|f32|b32|b64)\b|\.align (\d+) \.b8)[^,)\n]*?_param_\d+(?:\[(\d+)\])?`)
)

// Kernels are the kernels of a module, in its order. It checks that signatures in the header agree with the entries:
// their number, and the number, sizes and kinds of their parameters.
func Kernels(text string) ([]Kernel, error) {
	pieces, err := split(text)
	if err != nil {
		return nil, err
	}
	signatures := map[string][]Param{}
	for _, m := range signature.FindAllStringSubmatch(text, -1) {
		params := []Param{}
		for _, p := range strings.Split(m[2], ", ") {
			if typ, name, ok := strings.Cut(p, " "); ok {
				params = append(params, Param{name, typ})
			}
		}
		signatures[m[1]] = params
	}
	found := target.FindStringSubmatch(text)
	if found == nil {
		return nil, fmt.Errorf("no .target")
	}
	var ks []Kernel
	for _, p := range pieces {
		if p.kind != kernel {
			continue
		}
		params, ok := signatures[p.name]
		if !ok {
			return nil, fmt.Errorf("kernel %s has no signature in the header", p.name)
		}
		k := Kernel{Entry: p.name, Target: found[1], Cluster: 1, Params: params}
		head, _, _ := strings.Cut(p.text, "\n{")
		m := threads.FindStringSubmatch(head)
		if m == nil {
			return nil, fmt.Errorf("kernel %s does not say how many threads it has", p.name)
		}
		k.Threads, _ = strconv.Atoi(m[1])
		if m := cluster.FindStringSubmatch(head); m != nil {
			k.Cluster, _ = strconv.Atoi(m[1])
		}
		if err := agree(k, head); err != nil {
			return nil, err
		}
		ks = append(ks, k)
	}
	if len(ks) != len(signatures) {
		return nil, fmt.Errorf("%d kernels, %d signatures", len(ks), len(signatures))
	}
	return ks, nil
}

// agree compares a signature with the parameters that the entry declares.
func agree(k Kernel, head string) error {
	declared := declaration.FindAllStringSubmatch(head, -1)
	if len(declared) != len(k.Params) {
		return fmt.Errorf("kernel %s takes %d parameters, its signature has %d", k.Entry, len(declared), len(k.Params))
	}
	for i, d := range declared {
		p, ok := k.Params[i], true
		switch p.Type {
		case "ptr":
			ok = strings.Contains(d[0], ".ptr") && d[1] == "u64"
		case "int64", "uint64":
			ok = !strings.Contains(d[0], ".ptr") && slices.Contains([]string{"u64", "b64"}, d[1])
		case "int32", "uint32":
			ok = slices.Contains([]string{"u32", "b32"}, d[1])
		case "float32":
			ok = d[1] == "f32"
		case "tensormap":
			ok = d[2] == "64" && d[3] == "128"
		default:
			ok = false
		}
		if !ok {
			return fmt.Errorf("parameter %d of kernel %s is declared %q, its signature says %s", i, k.Entry, d[0], p.Type)
		}
	}
	return nil
}
