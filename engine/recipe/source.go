package recipe

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a recipe. The parser's time grows with the square of the number of keys and of the depth: within these
// bounds the worst text found takes about a second, a real recipe a millisecond.
const (
	maxBytes = 64 << 10
	maxLines = 4096
	maxDepth = 32 // nested lists and mappings
)

// A node is a YAML value reduced to what recipes may use: a scalar's text, a list, or a mapping.
type node struct {
	kind   nodeKind
	text   string // scalar: as written, or the content of the quotes
	quoted bool   // scalar: it was written in quotes or as a block, so it is text
	flag   bool   // from the command line: never quoted, so the key's type alone decides
	items  []node // list
	pairs  []pair // mapping, in order
	place  place
}

type nodeKind int

const (
	scalarNode nodeKind = iota
	listNode
	mappingNode
	emptyNode // "key:" with nothing behind it, null, ~
)

type pair struct {
	key   string
	place place
	value node
}

// parseYAML reads src as one YAML document of the strict subset and returns its root, a mapping.
func parseYAML(name string, src []byte) (root node, text *source, err error) {
	body := strings.ReplaceAll(strings.TrimPrefix(string(src[:min(len(src), maxBytes+1)]), "\ufeff"), "\r\n", "\n")
	text = &source{name: name, lines: strings.Split(body, "\n")}
	if err := checkText(text, src, body); err != nil {
		return node{}, text, err
	}
	// The parser is not ours: whatever it does with bytes we did not think of must stay an error message.
	defer func() {
		if recover() != nil {
			err = text.at(1, 1, 1).errorf("", "this is not YAML that can be read").advise(
				"see the recipes that `forja recipes` prints for the accepted form")
		}
	}()
	file, parseErr := parser.ParseBytes([]byte(body), 0, parser.AllowDuplicateMapKey())
	if parseErr != nil {
		return node{}, text, syntaxError(text, parseErr)
	}
	root, err = oneDocument(text, file)
	return root, text, err
}

// checkText refuses what must not reach the parser: too much, not UTF-8, tabs as indentation, absurd nesting.
func checkText(text *source, src []byte, body string) error {
	if len(src) > maxBytes {
		return text.at(1, 1, 1).errorf("", "the file has %d bytes; a recipe has at most %d", len(src), maxBytes)
	}
	if len(text.lines) > maxLines {
		return text.at(1, 1, 1).errorf("", "the file has %d lines; a recipe has at most %d", len(text.lines), maxLines)
	}
	depth := 0
	for i, line := range text.lines {
		if !utf8.ValidString(line) {
			return text.at(i+1, 1, 1).errorf("", "line %d is not UTF-8 text", i+1)
		}
		if strings.ContainsRune(line, 0) {
			return text.at(i+1, 1, 1).errorf("", "line %d holds a zero byte: this is not a text file", i+1)
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if t := strings.IndexByte(indent, '\t'); t >= 0 && len(indent) < len(line) {
			return text.at(i+1, t+1, 1).errorf("", "a tab is used as indentation").hint("use spaces")
		}
		rest := strings.TrimLeft(line, " ")
		level := 0
		for strings.HasPrefix(rest, "- ") || strings.HasPrefix(rest, "? ") {
			rest, level = strings.TrimLeft(rest[2:], " "), level+1
		}
		for column, r := range line {
			switch r {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth+level > maxDepth {
				return text.at(i+1, column+1, 1).errorf("", "lists and mappings are nested more than %d deep", maxDepth)
			}
		}
	}
	if strings.TrimSpace(body) == "" {
		return emptyError(text)
	}
	return nil
}

func emptyError(text *source) *Error {
	e := (place{file: text.name}).errorf("", "the recipe is empty")
	return e.advise("start from one that works: forja recipes")
}

// syntaxError rewrites the parser's error with our source line and caret.
func syntaxError(text *source, err error) *Error {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.GetToken() == nil || syntax.GetToken().Position == nil {
		return text.at(1, 1, 1).errorf("", "this is not YAML that can be read")
	}
	at := syntax.GetToken().Position
	message := syntax.GetMessage()
	e := text.at(at.Line, at.Column, 1).errorf("", "not valid YAML: %s", printable(message))
	switch {
	case strings.Contains(message, "'@' is a reserved"):
		e.Message = `text that begins with "@" needs quotes`
		e.Hint = `write "@stage/path"`
	case strings.Contains(message, "reserved character"):
		e.Hint = "put the text in quotes"
	case strings.Contains(message, "mapping value is not allowed"):
		e.Advice = []string{"either the indentation differs from its neighbours', or a text with a colon needs quotes"}
	}
	return e
}

// oneDocument converts the only document of file.
func oneDocument(text *source, file *ast.File) (node, error) {
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if _, ok := doc.Body.(*ast.CommentGroupNode); ok {
			continue
		}
		c := converter{text}
		if d, ok := doc.Body.(*ast.DirectiveNode); ok {
			return node{}, c.place(d.GetToken()).errorf("", "YAML directives (%%) are not accepted in a recipe")
		}
		if body != nil {
			return node{}, c.place(firstToken(doc.Body)).errorf("", "a second document begins here").advise(
				"a recipe is one document: remove everything from its --- on, or use two files")
		}
		body = doc.Body
	}
	if body == nil {
		return node{}, emptyError(text)
	}
	n, err := converter{text}.node(body)
	if err != nil {
		return node{}, err
	}
	if n.kind != mappingNode {
		return node{}, n.place.errorf("", "a recipe is a mapping of keys to values, found %s", n.found())
	}
	return n, nil
}

// firstToken returns the first key's token of a mapping, else the node's own.
func firstToken(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}

// A converter turns the parser's tree into nodes, refusing what recipes do not use.
type converter struct{ text *source }

func (c converter) place(t *token.Token) place {
	if t == nil || t.Position == nil {
		return c.text.at(1, 1, 1)
	}
	width := utf8.RuneCountInString(t.Value)
	switch t.Type {
	case token.SingleQuoteType, token.DoubleQuoteType:
		width = utf8.RuneCountInString(strings.TrimSpace(t.Origin))
	case token.ImplicitNullType:
		width = 1
	}
	return c.text.at(t.Position.Line, t.Position.Column, width)
}

func (c converter) node(n ast.Node) (node, error) {
	at := c.place(firstToken(n))
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.mapping(n.Values, at)
	case *ast.MappingValueNode:
		return c.mapping([]*ast.MappingValueNode{n}, at)
	case *ast.SequenceNode:
		out := node{kind: listNode, place: at}
		for _, item := range n.Values {
			v, err := c.node(item)
			if err != nil {
				return node{}, err
			}
			out.items = append(out.items, v)
		}
		return out, nil
	case *ast.NullNode:
		return node{kind: emptyNode, place: at}, nil
	case *ast.LiteralNode:
		return node{text: n.Value.Value, quoted: true, place: at}, nil
	case *ast.StringNode:
		t := n.GetToken().Type
		return node{text: n.Value, quoted: t == token.SingleQuoteType || t == token.DoubleQuoteType, place: at}, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node{text: n.GetToken().Value, place: at}, nil
	case *ast.AnchorNode:
		return node{}, at.errorf("", "anchors (&name) are not accepted in a recipe").hint("write the value out")
	case *ast.AliasNode:
		return node{}, at.errorf("", "aliases (*name) are not accepted in a recipe").hint("write the value out").advise(
			"a text that begins with * needs quotes")
	case *ast.TagNode:
		return node{}, at.errorf("", "tags (!name) are not accepted in a recipe").hint("remove the tag").advise(
			"a text that begins with ! needs quotes")
	}
	return node{}, at.errorf("", "this kind of YAML is not accepted in a recipe")
}

func (c converter) mapping(values []*ast.MappingValueNode, at place) (node, error) {
	out := node{kind: mappingNode, place: at}
	seen := map[string]place{}
	for _, v := range values {
		keyAt := c.place(v.Key.GetToken())
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			return node{}, keyAt.errorf("", "merge keys (<<) are not accepted in a recipe").hint("write the keys out")
		}
		word, ok := v.Key.(*ast.StringNode)
		if !ok {
			return node{}, keyAt.errorf("", "a key must be a word")
		}
		key := word.Value
		if first, dup := seen[key]; dup {
			return node{}, keyAt.errorf("", "duplicate key %s", quoted(key)).hint("first set on line %d", first.line)
		}
		seen[key] = keyAt
		value, err := c.node(v.Value)
		if err != nil {
			return node{}, err
		}
		out.pairs = append(out.pairs, pair{key: key, place: keyAt, value: value})
	}
	return out, nil
}

// found describes a value for "wants X, found Y".
func (n node) found() string {
	switch n.kind {
	case listNode:
		return "a list"
	case mappingNode:
		return "a mapping"
	case emptyNode:
		return "nothing"
	}
	if n.quoted || !looksNumeric(n.text) && n.text != "true" && n.text != "false" {
		return "the text " + quoted(n.text)
	}
	return printable(n.text)
}
