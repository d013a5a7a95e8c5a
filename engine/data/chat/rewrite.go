package chat

import (
	"fmt"
	"slices"
	"strings"
)

// The Jinja library that executes templates differs from Jinja2 in ways that
// would change prompts, and puts no limit on what a template may spend. A
// template is therefore rewritten before the library sees it:
//
//   - literal text becomes string literals, so that the library's own white
//     space control has nothing left to do;
//   - a variable set in a loop is reset at the start of each round;
//   - filters and string methods become the ones of this package, which are
//     Python's and bounded; what is not known is refused;
//   - what is printed or assigned, each round of a loop and each macro call
//     passes through a meter, and no value can be made to contain itself.
//
// One difference stays: the operator ~ prints None as
// nothing. Names that start with hidden are added by the rewriting.
const hidden = "forja_"

// ownFilters are executed by this package; libraryFilters by the library,
// which for these agrees with Jinja2 and needs time and memory linear in its input.
var (
	ownFilters     = []string{"capitalize", "d", "default", "indent", "join", "lower", "replace", "string", "title", "tojson", "trim", "upper"}
	libraryFilters = []string{"abs", "count", "dictsort", "first", "float", "int", "items", "last", "length", "list", "map",
		"max", "min", "reject", "rejectattr", "reverse", "round", "safe", "select", "selectattr", "sort", "sum", "unique"}
	ownMethods = []string{"append", "capitalize", "endswith", "lower", "lstrip", "replace", "rstrip", "split", "startswith", "strip", "title", "upper"}

	libraryMethods = []string{"cycle", "get", "items", "keys", "values"}
)

// A rewriter writes pieces as a template for the library.
type rewriter struct {
	out    strings.Builder
	blocks []block
	loops  int
	resets map[int][]string // names set directly in the loop that starts at a piece
}

// A block is a statement that waits for its end.
type block struct {
	word string
	name string // of a macro, or of the variable of a block assignment
	line int
}

// rewrite turns a template into one that the library executes as Jinja2 would.
func rewrite(source string) (string, error) {
	pieces, err := lex(source)
	if err != nil {
		return "", err
	}
	r := &rewriter{resets: loopVariables(pieces)}
	for i, p := range pieces {
		if slices.ContainsFunc(p.tokens, func(t token) bool { return t.kind == name && strings.HasPrefix(t.text, hidden) }) {
			return "", fmt.Errorf("line %d: names that start with %s are reserved", p.line, hidden)
		}
		switch p.kind {
		case literal:
			r.write("{{ ", quote(p.text), " }}")
		case expression:
			var inside string
			if inside, err = r.expression(p.tokens); err == nil {
				r.write("{{ ", hidden, "print(", inside, ") }}")
			}
		case statement:
			err = r.statement(i, p)
		}
		if err != nil {
			return "", fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	if len(r.blocks) > 0 {
		open := r.blocks[len(r.blocks)-1]
		return "", fmt.Errorf("line %d: %s is not closed", open.line, open.word)
	}
	return r.out.String(), nil
}

func (r *rewriter) write(parts ...string) {
	for _, part := range parts {
		r.out.WriteString(part)
	}
}

// quote spells a string literal so that the library reads the same string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// loopVariables finds, for each for statement, the names that {% set %}
// assigns in its body and not in a deeper scope.
func loopVariables(pieces []piece) map[int][]string {
	found := map[int][]string{}
	var scopes []int // the for statement of each open scope, or -1 for a macro
	for i, p := range pieces {
		if p.kind != statement || len(p.tokens) == 0 {
			continue
		}
		switch p.tokens[0].text {
		case "for":
			scopes = append(scopes, i)
		case "macro", "call":
			scopes = append(scopes, -1)
		case "endfor", "endmacro", "endcall":
			if len(scopes) > 0 {
				scopes = scopes[:len(scopes)-1]
			}
		case "set":
			if len(scopes) == 0 || len(p.tokens) < 2 || len(p.tokens) > 2 && p.tokens[2].text == "." {
				continue
			}
			if loop := scopes[len(scopes)-1]; loop >= 0 && !slices.Contains(found[loop], p.tokens[1].text) {
				found[loop] = append(found[loop], p.tokens[1].text)
			}
		}
	}
	return found
}

// statement writes one {% … %} tag.
func (r *rewriter) statement(i int, p piece) error {
	if len(p.tokens) == 0 || p.tokens[0].kind != name {
		return fmt.Errorf("empty statement")
	}
	word, rest := p.tokens[0].text, p.tokens[1:]
	switch word {
	case "if", "elif", "call":
		return r.conditional(word, rest, p.line)
	case "for":
		return r.loop(i, rest, p.line)
	case "set":
		return r.assignment(rest, p.line)
	case "macro":
		return r.macro(rest, p.line)
	case "generation":
		r.write("{{ ", hidden, "mark(true) }}")
		return r.open(block{word: word, line: p.line})
	}
	if len(rest) > 0 && word != "endmacro" && word != "endset" {
		return fmt.Errorf("unexpected %q after %s", rest[0].text, word)
	}
	switch word {
	case "else":
		if r.inside("if", "for") == "" {
			return fmt.Errorf("else without if or for")
		}
		r.write("{% else %}")
		return nil
	case "break", "continue":
		if !slices.ContainsFunc(r.blocks, func(b block) bool { return b.word == "for" }) {
			return fmt.Errorf("%s outside a loop", word)
		}
		r.write("{% ", word, " %}")
		return nil
	}
	opener, isEnd := strings.CutPrefix(word, "end")
	if !isEnd || r.inside(opener) == "" {
		return fmt.Errorf("unexpected statement %q", word)
	}
	b := r.blocks[len(r.blocks)-1]
	r.blocks = r.blocks[:len(r.blocks)-1]
	switch opener {
	case "macro":
		r.write("{{ ", hidden, "leave() }}{% endmacro %}")
	case "generation":
		r.write("{{ ", hidden, "mark(false) }}")
	case "set":
		r.write("{% endset %}{% set ", b.name, " = ", hidden, "meter(", b.name, ") %}")
	default:
		r.write("{% ", word, " %}")
	}
	return nil
}

// inside returns the innermost block's word if it is one of words, else "".
func (r *rewriter) inside(words ...string) string {
	if n := len(r.blocks); n > 0 && slices.Contains(words, r.blocks[n-1].word) {
		return r.blocks[n-1].word
	}
	return ""
}

func (r *rewriter) open(b block) error {
	if r.blocks = append(r.blocks, b); len(r.blocks) > maxDepth {
		return fmt.Errorf("more than %d nested blocks", maxDepth)
	}
	return nil
}

func (r *rewriter) conditional(word string, rest []token, line int) error {
	inside, err := r.expression(rest)
	if err != nil {
		return err
	}
	r.write("{% ", word, " ", inside, " %}")
	if word == "elif" {
		if r.inside("if") == "" {
			return fmt.Errorf("elif without if")
		}
		return nil
	}
	return r.open(block{word: word, line: line})
}

func (r *rewriter) loop(i int, rest []token, line int) error {
	if slices.Contains(rest, token{name, "recursive"}) {
		return fmt.Errorf("recursive loops are not supported")
	}
	in := slices.Index(rest, token{name, "in"})
	if in != 1 && in != 3 {
		return fmt.Errorf("want: for NAME in EXPRESSION, or for NAME, NAME in EXPRESSION")
	}
	inside, err := r.expression(rest)
	if err != nil {
		return err
	}
	r.loops++
	var reset strings.Builder
	for _, variable := range r.resets[i] {
		if slices.Contains(rest[:in], token{name, variable}) {
			continue
		}
		saved := fmt.Sprintf("%sloop%d_%s", hidden, r.loops, variable)
		r.write("{% set ", saved, " = ", variable, " %}")
		reset.WriteString("{% set " + variable + " = " + saved + " %}")
	}
	r.write("{% for ", inside, " %}{{ ", hidden, "tick() }}", reset.String())
	return r.open(block{word: "for", line: line})
}

func (r *rewriter) assignment(rest []token, line int) error {
	if len(rest) == 0 || rest[0].kind != name {
		return fmt.Errorf("want: set NAME = EXPRESSION")
	}
	if len(rest) == 1 {
		r.write("{% set ", rest[0].text, " %}")
		return r.open(block{word: "set", name: rest[0].text, line: line})
	}
	equals := slices.Index(rest, token{operator, "="})
	attribute := equals == 3 && rest[1].text == "." && rest[2].kind == name
	if equals != 1 && !attribute {
		return fmt.Errorf("want: set NAME = EXPRESSION, or set NAME.ATTRIBUTE = EXPRESSION")
	}
	inside, err := r.expression(rest[equals+1:])
	if err != nil {
		return err
	}
	r.write("{% set ", rest[0].text)
	if attribute {
		r.write(".", rest[2].text)
	}
	check := "meter("
	if attribute {
		check = "keep("
	}
	r.write(" = ", hidden, check, inside, ") %}")
	return nil
}

func (r *rewriter) macro(rest []token, line int) error {
	if len(rest) < 3 || rest[0].kind != name || rest[1].text != "(" || rest[len(rest)-1].text != ")" {
		return fmt.Errorf("want: macro NAME(PARAMETERS)")
	}
	// The library splits parameters at every comma, so a default must be one token.
	var b strings.Builder
	for i := 2; i < len(rest)-1; i++ {
		t := rest[i]
		isComma := t.kind == operator && (t.text == "," || t.text == "=")
		if t.kind == operator && !isComma || t.kind == stringLiteral && strings.ContainsAny(t.text, ",=)") {
			return fmt.Errorf("a macro's default must be a name, a number or a simple string")
		}
		b.WriteString(spell(t))
	}
	r.write("{% macro ", rest[0].text, "(", b.String(), ") %}{{ ", hidden, "enter() }}")
	return r.open(block{word: "macro", name: rest[0].text, line: line})
}

// expression spells tokens for the library.
func (r *rewriter) expression(tokens []token) (string, error) {
	if len(tokens) == 0 {
		return "", fmt.Errorf("expression expected")
	}
	at := func(i int) token {
		if i < 0 || i >= len(tokens) {
			return token{operator, ""}
		}
		return tokens[i]
	}
	var b strings.Builder
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch {
		case t.kind == operator && (t.text == "*" || t.text == "**" || t.text == ";"):
			return "", fmt.Errorf("the operator %s is not supported", t.text)
		case t == token{operator, "|"}:
			filter, err := filterName(at(i+1), at(i+2), at(i+3))
			if err != nil {
				return "", err
			}
			b.WriteString(" | " + filter)
			i++
		case t == token{operator, "."} && at(i+1).kind == name && at(i+2) == token{operator, "("}:
			method := at(i + 1).text
			switch {
			case slices.Contains(ownMethods, method):
				b.WriteString(" | " + hidden + "method_" + method)
			case slices.Contains(libraryMethods, method):
				b.WriteString("." + method)
			default:
				return "", fmt.Errorf("the method %q is not supported", method)
			}
			i++
		case t == token{name, "sequence"} && (at(i-1).text == "is" || at(i-1).text == "not" && at(i-2).text == "is"):
			b.WriteString(" iterable") // to Jinja2, strings and mappings are sequences too
		case t.kind == stringLiteral:
			text := t.text
			for at(i+1).kind == stringLiteral { // neighbours are one string, as in Python
				i++
				text += tokens[i].text
			}
			b.WriteString(" " + quote(text))
		case t == token{operator, "."}:
			if at(i+1).kind != name {
				return "", fmt.Errorf("attribute name expected after the dot")
			}
			// As an item: a method that is not called here could be called, unmetered, elsewhere.
			b.WriteString("[" + quote(at(i+1).text) + "]")
			i++
		default:
			b.WriteString(" " + t.text)
		}
	}
	return strings.TrimSpace(b.String()), nil
}

// filterName is the library's name for the filter in f, with the two tokens behind it.
func filterName(f, paren, first token) (string, error) {
	switch {
	case f.kind != name:
		return "", fmt.Errorf("filter name expected after |")
	case slices.Contains(ownFilters, f.text):
		return hidden + f.text, nil
	case !slices.Contains(libraryFilters, f.text):
		return "", fmt.Errorf("the filter %q is not supported", f.text)
	case f.text == "map" && paren == token{operator, "("} && first.kind == stringLiteral:
		if mapped[first.text] == nil {
			return "", fmt.Errorf("map(%q) is not supported", first.text)
		}
		return hidden + "map", nil
	case f.text == "map" && first != token{name, "attribute"}:
		return "", fmt.Errorf("map is only supported with attribute= or the name of a filter")
	}
	return f.text, nil
}

func spell(t token) string {
	if t.kind == stringLiteral {
		return quote(t.text)
	}
	return t.text
}
