package interp

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Module is a parsed PTX module.
type Module struct {
	Target  string // of .target: sm_80, sm_90a
	Kernels map[string]*Kernel

	vars    map[string]*variable // of module scope
	globals []*variable          // those of .global and .const, in order of declaration
}

// Kernel is one entry of a module, ready to be launched. It is safe for concurrent use.
type Kernel struct {
	Name         string
	Params       []Param
	Threads      int       // .maxntid or .reqntid: the most threads of a block, 0 if not stated
	Cluster      [3]uint32 // .reqnctapercluster, all 0 if not stated
	StaticShared int       // bytes of shared memory declared with a size
	Registers    int       // virtual registers in use

	spare   sync.Pool // units of launches that have ended
	module  *Module
	size    int // of the parameter block
	code    []instr
	consts  []constant // operands whose value never changes
	symbols []symbolUse
	names   []string  // slot -> register
	known   []uint32  // slot -> lanes whose value a launch sets
	special []special // registers that a launch or a block sets
	preds   int       // number of predicates
	local   int       // bytes of local memory of a thread
	dynamic int       // shared address of dynamic shared memory
	perSM   int       // blocks that a multiprocessor must take at once, 0 if not stated
	maxRegs int       // registers per thread, 0 if not stated

	// Bytes of the smallest access to shared and to global memory, at most 16.
	sharedGrain, globalGrain int
}

// Param is a parameter of a kernel: its place in the parameter block, in bytes.
type Param struct {
	Name                string
	Size, Align, Offset int
}

// constant is a slot that holds the same value in every lane.
type constant struct {
	slot  int
	value uint64
}

// symbolUse is a slot that holds the address of a variable.
type symbolUse struct {
	slot int
	v    *variable
}

// maxVariable bounds the size of a declared variable, in bytes.
const maxVariable = 256 << 20

// variable is a declared variable of any state space but .reg.
type variable struct {
	name  string
	space string // .param .shared .local .global .const
	align int
	size  int // bytes; 0 for an extern array without a size: dynamic shared memory
	at    uint64
	init  []byte // initial value of .global and .const, shorter than size if the rest is zero
}

// Parse reads a PTX module. An opcode, modifier, directive or operand that the package does not
// know is an error that names its line.
func Parse(src string) (*Module, error) {
	if len(src) > maxSource {
		return nil, fmt.Errorf("ptx of %d bytes: more than %d", len(src), maxSource)
	}
	m := &Module{Kernels: map[string]*Kernel{}, vars: map[string]*variable{}}
	s := &scanner{src: src, line: 1}
	for {
		if err := s.skip(); err != nil {
			return nil, err
		}
		if s.pos == len(s.src) {
			break
		}
		if err := m.directive(s); err != nil {
			return nil, err
		}
	}
	if m.Target == "" {
		return nil, fmt.Errorf("ptx without a .target directive")
	}
	return m, nil
}

// directive reads one directive of module scope.
func (m *Module) directive(s *scanner) error {
	line := s.line
	rest := s.src[s.pos:]
	head := rest
	for _, linkage := range []string{".visible", ".extern", ".weak", ".common"} {
		head = strings.TrimLeft(strings.TrimPrefix(head, linkage), " \t\n\r")
	}
	switch word := head[:wordLen(head)]; word {
	case ".entry":
		header, err := s.until('{')
		if err != nil {
			return err
		}
		k, err := m.header(header, line)
		if err != nil {
			return lineError(line, "%w", err)
		}
		if m.Kernels[k.Name] != nil {
			return lineError(line, "entry %s is declared twice", k.Name)
		}
		if err := k.body(s); err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
		m.Kernels[k.Name] = k
		return nil
	case ".func", ".alias":
		return lineError(line, "%s: functions are not supported, everything must be inlined", word)
	case ".section": // debug information
		if _, err := s.until('}'); err != nil {
			return err
		}
		return nil
	}
	st, err := s.next()
	if err != nil {
		return err
	}
	f := strings.Fields(st.text)
	if len(f) == 0 { // a lone semicolon
		return nil
	}
	switch f[0] {
	case ".version", ".file", ".loc", ".pragma":
		return nil
	case ".address_size":
		if len(f) != 2 || f[1] != "64" {
			return lineError(line, "%s: only 64-bit addresses are supported", st.text)
		}
		return nil
	case ".target":
		if len(f) < 2 {
			return lineError(line, ".target without a name")
		}
		m.Target = strings.TrimSuffix(f[1], ",")
		return nil
	case ".visible", ".extern", ".weak", ".common", ".shared", ".global", ".const":
		v, err := declare(st.text)
		if err != nil {
			return lineError(line, "%w", err)
		}
		if m.vars[v.name] != nil {
			return lineError(line, "variable %s is declared twice", v.name)
		}
		m.vars[v.name] = v
		if v.space == ".global" || v.space == ".const" {
			m.globals = append(m.globals, v)
		}
		return nil
	}
	return lineError(line, "unknown directive %q", st.text)
}

// header reads ".visible .entry name(params) directives".
func (m *Module) header(text string, line int) (*Kernel, error) {
	_, text, _ = strings.Cut(text, ".entry")
	text = strings.TrimSpace(text)
	k := &Kernel{Name: text[:wordLen(text)], module: m, sharedGrain: 16, globalGrain: 16}
	if k.Name == "" {
		return nil, fmt.Errorf("entry without a name")
	}
	rest := strings.TrimSpace(text[len(k.Name):])
	if strings.HasPrefix(rest, "(") {
		list, after, ok := strings.Cut(rest[1:], ")")
		if !ok {
			return nil, fmt.Errorf("entry %s: parameter list without end", k.Name)
		}
		rest = strings.TrimSpace(after)
		for _, p := range split(list) {
			if p == "" {
				continue
			}
			v, err := declare(p)
			if err != nil {
				return nil, fmt.Errorf("entry %s: %w", k.Name, err)
			}
			if v.space != ".param" || v.size == 0 || v.size > 32764 {
				return nil, fmt.Errorf("entry %s: parameter %q", k.Name, p)
			}
			k.size = (k.size + v.align - 1) / v.align * v.align
			k.Params = append(k.Params, Param{Name: v.name, Size: v.size, Align: v.align, Offset: k.size})
			k.size += v.size
			if k.size > 32764 {
				return nil, fmt.Errorf("entry %s: parameters of more than 32764 bytes", k.Name)
			}
		}
	}
	f := strings.Fields(strings.ReplaceAll(rest, ",", " "))
	for len(f) > 0 {
		name := f[0]
		n := 1
		var v [3]int
		for ; n < len(f) && f[n][0] != '.'; n++ {
			x, err := strconv.ParseUint(f[n], 0, 31)
			if err != nil || n > 3 {
				return nil, fmt.Errorf("entry %s: %s %s", k.Name, name, f[n])
			}
			v[n-1] = int(x)
		}
		f = f[n:]
		switch name {
		case ".maxntid", ".reqntid":
			for i := range v {
				if v[i] > 1024 {
					return nil, fmt.Errorf("entry %s: %s of more than 1024 threads", k.Name, name)
				}
			}
			k.Threads = max(v[0], 1) * max(v[1], 1) * max(v[2], 1)
		case ".reqnctapercluster":
			for i := range v {
				k.Cluster[i] = uint32(max(v[i], 1))
			}
			if v[0] > 16 || v[1] > 16 || v[2] > 16 || k.Cluster[0]*k.Cluster[1]*k.Cluster[2] > 16 {
				return nil, fmt.Errorf("entry %s: cluster of more than 16 blocks", k.Name)
			}
		case ".minnctapersm":
			k.perSM = v[0]
		case ".maxnreg":
			k.maxRegs = v[0]
		case ".explicitcluster", ".maxclusterrank", ".noreturn":
		default:
			return nil, fmt.Errorf("entry %s: unknown directive %s", k.Name, name)
		}
	}
	return k, nil
}

// declare reads the declaration of one variable: linkage, state space, alignment, type, name,
// array size and initialiser.
func declare(text string) (*variable, error) {
	decl, init, hasInit := strings.Cut(text, "=")
	v := &variable{}
	elem, count, array := 0, 1, false
	f := strings.Fields(strings.ReplaceAll(decl, "[", " ["))
	for i := 0; i < len(f); i++ {
		switch w := f[i]; {
		case w == ".visible" || w == ".extern" || w == ".weak" || w == ".common" || w == ".ptr":
		case w == ".align":
			i++
			if i == len(f) {
				return nil, fmt.Errorf("%q: .align without a number", text)
			}
			n, err := strconv.ParseUint(f[i], 0, 16)
			if err != nil || n == 0 || n&(n-1) != 0 || n > 1024 {
				return nil, fmt.Errorf("%q: alignment %s", text, f[i])
			}
			if elem > 0 && v.space == ".param" { // what a pointer points to
				break
			}
			v.align = int(n)
		case v.space == "" && (w == ".param" || w == ".shared" || w == ".local" || w == ".global" || w == ".const"):
			v.space = w
		case elem > 0 && (w == ".shared" || w == ".local" || w == ".global" || w == ".const"): // of a pointer
		case w == ".v2" || w == ".v4":
			count *= int(w[2] - '0')
		case w[0] == '.':
			n := typeBits(w[1:]) / 8
			if n == 0 || elem != 0 {
				return nil, fmt.Errorf("%q: type %s", text, w)
			}
			elem = n
		case w[0] == '[':
			array = true
			w = strings.TrimSuffix(w[1:], "]")
			if w == "" {
				if v.space == ".shared" && i == len(f)-1 {
					count = 0
				} else {
					return nil, fmt.Errorf("%q: array without a size", text)
				}
				break
			}
			n, err := strconv.ParseUint(w, 0, 32)
			if err != nil || n > maxVariable || uint64(count)*n > maxVariable {
				return nil, fmt.Errorf("%q: array size %q", text, w)
			}
			count *= int(n)
		case v.name == "":
			v.name = w
		default:
			return nil, fmt.Errorf("%q: unexpected %q", text, w)
		}
	}
	if v.name == "" || v.space == "" || elem == 0 {
		return nil, fmt.Errorf("%q: not a declaration of a variable", text)
	}
	v.size = elem * count
	if v.size > maxVariable {
		return nil, fmt.Errorf("%q: more than %d bytes", text, maxVariable)
	}
	if v.align == 0 {
		v.align = elem
	}
	if !hasInit {
		return v, nil
	}
	if v.space != ".global" && v.space != ".const" {
		return nil, fmt.Errorf("%q: initialiser of a %s variable", text, v.space)
	}
	init = strings.TrimSpace(init)
	if array {
		init = strings.NewReplacer("{", " ", "}", " ").Replace(init)
	}
	for _, x := range split(init) {
		if x == "" {
			continue
		}
		n, err := immediate(x)
		if err != nil {
			return nil, fmt.Errorf("%s: initialiser %q: %w", v.name, x, err)
		}
		if len(v.init)+elem > v.size {
			return nil, fmt.Errorf("%s: more initial values than elements", v.name)
		}
		for range elem {
			v.init = append(v.init, byte(n))
			n >>= 8
		}
	}
	return v, nil
}

// typeBits is the width of a fundamental type like b32, or 0.
func typeBits(t string) int {
	switch t {
	case "pred":
		return 1
	case "b8", "u8", "s8":
		return 8
	case "b16", "u16", "s16", "f16", "bf16":
		return 16
	case "b32", "u32", "s32", "f32", "f16x2", "bf16x2", "tf32":
		return 32
	case "b64", "u64", "s64", "f64":
		return 64
	case "b128":
		return 128
	}
	return 0
}

// immediate reads a literal: decimal, hexadecimal, octal or binary integers with an optional U,
// 0fXXXXXXXX and 0dXXXXXXXXXXXXXXXX. Negative integers are sign-extended to 64 bits.
func immediate(s string) (uint64, error) {
	if len(s) == 10 && (s[:2] == "0f" || s[:2] == "0F") {
		return strconv.ParseUint(s[2:], 16, 32)
	}
	if len(s) == 18 && (s[:2] == "0d" || s[:2] == "0D") {
		return strconv.ParseUint(s[2:], 16, 64)
	}
	digits := strings.TrimSuffix(s, "U")
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		n, err := strconv.ParseUint(rest, 0, 63)
		return -n, err
	}
	return strconv.ParseUint(digits, 0, 64)
}
