package interp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// op executes one instruction for the lanes in m.
type op func(w *warp, m uint32)

// kind tells the run loop how an instruction moves the program counter.
type kind uint8

const (
	plain    kind = iota // goes on to the next
	branch               // bra
	indirect             // brx.idx
	ret                  // ret, exit
	waits                // may give up the turn: barriers, try_wait
)

// instr is an instruction, ready to run.
type instr struct {
	run   op
	guard int  // predicate, -1 for none
	neg   bool // run where the guard is false
	kind  kind
	to    int   // target of a branch
	join  int   // where lanes that part here meet again
	table []int // targets of brx.idx
	index int   // slot of its index

	name   string // opcode with its modifiers
	text   string
	line   int
	reads  []int // slots and predicates that define the result or are used by it, for the checker
	writes []int
	preads []int // the same of predicates
	pwrite []int
	pure   bool // only computes registers from registers
	choice *choice
}

// maxInstructions and maxRegisters bound a kernel.
const (
	maxInstructions = 1 << 20
	maxRegisters    = 1 << 16
)

// register is a declared virtual register.
type register struct {
	bits int // 1 for a predicate
	slot int // -1 until it is used; an index of predicates if bits is 1
}

// family is a declaration like ".reg .b32 %r<73>".
type family struct{ bits, n int }

// assembler translates the body of one kernel.
type assembler struct {
	k        *Kernel
	vars     map[string]*variable // kernel scope, with parameters
	regs     map[string]*register
	families map[string]family
	consts   map[uint64]int // value -> slot
	symbols  map[*variable]int
	specials map[string]int
	labels   map[string]int
	label    string              // the last one, for the table that may follow it
	tables   map[string][]string // .branchtargets
	scopes   []string            // open blocks, innermost last; names declared in one carry its prefix
	nscopes  int
	slots    int
	width    []int    // slot -> bits
	names    []string // slot -> register
	fixups   []fixup
	dynamic  []*variable
	shared   int
}

// fixup is a branch whose target is known only at the end.
type fixup struct {
	at     int
	name   string
	scopes []string
}

// body translates statements up to the closing brace of the kernel.
func (k *Kernel) body(s *scanner) error {
	a := &assembler{
		k: k, vars: map[string]*variable{}, regs: map[string]*register{}, families: map[string]family{}, consts: map[uint64]int{},
		symbols: map[*variable]int{}, specials: map[string]int{}, labels: map[string]int{}, tables: map[string][]string{},
		shared: reservedShared,
	}
	for _, p := range k.Params {
		if a.vars[p.Name] != nil {
			return fmt.Errorf("parameter %s is declared twice", p.Name)
		}
		a.vars[p.Name] = &variable{name: p.Name, space: ".param", size: p.Size, align: p.Align, at: uint64(p.Offset)}
	}
	for {
		st, err := s.next()
		if err != nil {
			return err
		}
		switch {
		case st.text == "" && s.pos == len(s.src):
			return lineError(st.line, "the body has no closing brace")
		case st.text == "":
		case st.text == "{":
			a.nscopes++
			if len(a.scopes) > 64 {
				return lineError(st.line, "blocks nested too deep")
			}
			a.scopes = append(a.scopes, strconv.Itoa(a.nscopes)+":")
		case st.text == "}":
			if len(a.scopes) == 0 {
				return a.finish()
			}
			a.scopes = a.scopes[:len(a.scopes)-1]
		default:
			if err := a.statement(st); err != nil {
				return lineError(st.line, "%q: %w", clip(st.text), err)
			}
		}
		if len(k.code) > maxInstructions || a.slots > maxRegisters || k.preds > maxRegisters {
			return lineError(st.line, "more than %d instructions or %d registers", maxInstructions, maxRegisters)
		}
	}
}

// clip shortens a statement for a message.
func clip(s string) string {
	if len(s) > 120 {
		return s[:117] + "..."
	}
	return s
}

func (a *assembler) statement(st statement) error {
	if label, ok := strings.CutSuffix(st.text, ":"); ok && !strings.Contains(label, " ") {
		name := a.prefix() + label
		if _, twice := a.labels[name]; twice {
			return fmt.Errorf("label is defined twice")
		}
		a.labels[name] = len(a.k.code)
		a.label = name
		return nil
	}
	if st.text[0] == '.' {
		return a.directive(st.text)
	}
	return a.instruction(st)
}

// prefix is what names declared in the innermost block carry.
func (a *assembler) prefix() string { return strings.Join(a.scopes, "") }

// lookup finds a name in the scopes from the innermost outwards.
func lookup[T any](m map[string]T, scopes []string, name string) (T, bool) {
	for n := len(scopes); n >= 0; n-- {
		if v, ok := m[strings.Join(scopes[:n], "")+name]; ok {
			return v, true
		}
	}
	var none T
	return none, false
}

func (a *assembler) directive(text string) error {
	word := text[:wordLen(text)]
	rest := strings.TrimSpace(text[len(word):])
	switch word {
	case ".reg":
		return a.declareRegs(rest)
	case ".local", ".shared":
		v, err := declare(text)
		if err != nil {
			return err
		}
		name := a.prefix() + v.name
		if a.vars[name] != nil {
			return fmt.Errorf("variable is declared twice")
		}
		a.vars[name] = v
		return nil
	case ".pragma", ".loc", ".file":
		return nil
	case ".branchtargets":
		if a.label == "" {
			return fmt.Errorf("a table of branch targets needs a label")
		}
		a.tables[a.label] = split(rest)
		return nil
	}
	return fmt.Errorf("unknown directive %s", word)
}

// declareRegs reads ".b32 %r<73>" or ".pred p, q".
func (a *assembler) declareRegs(text string) error {
	typ := text[:wordLen(text)]
	bits := 0
	if typ != "" {
		bits = typeBits(typ[1:])
	}
	if bits == 0 || bits == 128 {
		return fmt.Errorf("register type %q", typ)
	}
	for _, name := range split(strings.TrimSpace(text[len(typ):])) {
		if base, count, ok := strings.Cut(name, "<"); ok {
			n, err := strconv.ParseUint(strings.TrimSuffix(count, ">"), 10, 20)
			if err != nil {
				return fmt.Errorf("register count %q", count)
			}
			a.families[a.prefix()+base] = family{bits, int(n)}
			continue
		}
		if name == "" || wordLen(name) != len(name) {
			return fmt.Errorf("register name %q", name)
		}
		a.regs[a.prefix()+name] = &register{bits, -1}
	}
	return nil
}

// reg finds a declared register; it is nil if there is none of this name.
func (a *assembler) reg(name string) *register {
	for n := len(a.scopes); n >= 0; n-- {
		full := strings.Join(a.scopes[:n], "") + name
		if r := a.regs[full]; r != nil {
			return r
		}
		base := strings.TrimRight(full, "0123456789")
		f, ok := a.families[base]
		if !ok || len(base) == len(full) {
			continue
		}
		i, err := strconv.ParseUint(full[len(base):], 10, 32)
		if err != nil || int(i) >= f.n || full[len(base)] == '0' && len(full) > len(base)+1 {
			continue
		}
		r := &register{f.bits, -1}
		a.regs[full] = r
		return r
	}
	return nil
}

// newSlot makes a slot of the register file.
func (a *assembler) newSlot(bits int) int {
	a.width = append(a.width, bits)
	a.names = append(a.names, "")
	a.slots++
	return a.slots - 1
}

// constant is the slot that holds v.
func (a *assembler) constant(v uint64) int {
	if s, ok := a.consts[v]; ok {
		return s
	}
	s := a.newSlot(64)
	a.consts[v] = s
	a.k.consts = append(a.k.consts, constant{s, v})
	return s
}

// symbol is the slot that holds the address of v in its own state space.
func (a *assembler) symbol(v *variable) int {
	if s, ok := a.symbols[v]; ok {
		return s
	}
	s := a.newSlot(64)
	a.symbols[v] = s
	a.k.symbols = append(a.k.symbols, symbolUse{s, v})
	switch {
	case v.space == ".shared" && v.size == 0:
		a.dynamic = append(a.dynamic, v)
	case v.space == ".shared":
		a.shared = (a.shared + v.align - 1) / v.align * v.align
		v.at = uint64(a.shared)
		a.shared += v.size
	case v.space == ".local":
		a.k.local = (a.k.local + v.align - 1) / v.align * v.align
		v.at = uint64(a.k.local)
		a.k.local += v.size
	}
	return s
}

// finish resolves labels and addresses, and finds where divergent lanes meet.
func (a *assembler) finish() error {
	k := a.k
	k.code = append(k.code, instr{kind: ret, guard: -1, name: "ret", text: "end of the kernel"})
	for _, f := range a.fixups {
		in := &k.code[f.at]
		names := []string{f.name}
		if in.kind == indirect {
			names, _ = lookup(a.tables, f.scopes, f.name)
		}
		for _, name := range names {
			at, ok := lookup(a.labels, f.scopes, name)
			if !ok {
				return lineError(in.line, "%q: there is no label %s", clip(in.text), name)
			}
			in.to = at
			in.table = append(in.table, at)
		}
		if len(in.table) == 0 {
			return lineError(in.line, "%q: there are no branch targets %s", clip(in.text), f.name)
		}
	}
	k.StaticShared = a.shared - reservedShared
	if k.StaticShared > maxShared {
		return fmt.Errorf("%d bytes of static shared memory, more than %d", k.StaticShared, maxShared)
	}
	if k.local > 512<<10 {
		return fmt.Errorf("%d bytes of local memory per thread, more than 524288", k.local)
	}
	k.dynamic = a.shared
	for _, v := range a.dynamic {
		k.dynamic = max(k.dynamic, (a.shared+v.align-1)/v.align*v.align)
	}
	for _, v := range a.dynamic {
		v.at = uint64(k.dynamic)
	}
	// A variable of module scope has one place per kernel: keep it with the use.
	for i, u := range k.symbols {
		if u.v.space != ".global" && u.v.space != ".const" {
			k.consts = append(k.consts, constant{u.slot, u.v.at})
			k.symbols[i].v = nil
		}
	}
	k.symbols = slices.DeleteFunc(k.symbols, func(u symbolUse) bool { return u.v == nil })
	k.Registers = a.slots
	k.names = a.names
	k.known = make([]uint32, a.slots)
	for _, c := range k.consts {
		k.known[c.slot] = full
	}
	for _, u := range k.symbols {
		k.known[u.slot] = full
	}
	for _, s := range k.special {
		k.known[s.slot] = full
	}
	postdominators(k.code)
	return nil
}
