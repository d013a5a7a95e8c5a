package ptx

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A piece is a top-level declaration of a module: a kernel, a variable, or a directive such as .version.
type piece struct {
	text string
	name string // of a kernel or variable
	kind kind
}

type kind int

const (
	directive kind = iota
	variable
	kernel
)

var (
	entryName    = regexp.MustCompile(`^(?:\.visible\s+)?\.entry\s+([\w$]+)`)
	variableName = regexp.MustCompile(`^(?:\.(?:visible|extern|weak)\s+)?\.(?:shared|global|const)\s[^;=]*?\s([\w$]+)\s*(?:\[|=|;)`)
)

// split divides a module into its declarations. Comments outside kernels are dropped.
func split(text string) ([]piece, error) {
	var pieces []piece
	for {
		text = skipBlank(text)
		if text == "" {
			return pieces, nil
		}
		switch {
		case entryName.MatchString(text):
			end := strings.Index(text, "\n}")
			if end < 0 {
				return nil, fmt.Errorf("kernel %s has no end", entryName.FindStringSubmatch(text)[1])
			}
			pieces = append(pieces, piece{text[:end+2], entryName.FindStringSubmatch(text)[1], kernel})
			text = text[end+2:]
		case variableName.MatchString(text):
			end := strings.IndexByte(text, ';')
			if end < 0 {
				return nil, fmt.Errorf("variable %s has no end", variableName.FindStringSubmatch(text)[1])
			}
			pieces = append(pieces, piece{text[:end+1], variableName.FindStringSubmatch(text)[1], variable})
			text = text[end+1:]
		default:
			line, rest, _ := strings.Cut(text, "\n")
			line = strings.TrimSpace(line)
			switch word, _, _ := strings.Cut(line, " "); word {
			case ".version", ".target", ".address_size":
				pieces = append(pieces, piece{line, "", directive})
			default:
				return nil, fmt.Errorf("unexpected %q: kernels must be self-contained", line)
			}
			text = rest
		}
	}
}

// skipBlank drops blank space and comments.
func skipBlank(text string) string {
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if !strings.HasPrefix(text, "//") {
			return text
		}
		_, text, _ = strings.Cut(text, "\n")
	}
}

// Cut is a module's text with one kernel and the variables that it names.
func Cut(text, entry string) (string, error) {
	pieces, err := split(text)
	if err != nil {
		return "", err
	}
	needed := make([]bool, len(pieces))
	body := ""
	for i, p := range pieces {
		if p.kind == directive {
			needed[i] = true
		}
		if p.kind == kernel && p.name == entry {
			needed[i] = true
			body = p.text
		}
	}
	if body == "" {
		return "", fmt.Errorf("no kernel %q", entry)
	}
	words := identifiers(body)
	for again := true; again; { // variables may hold the addresses of others
		again = false
		for i, p := range pieces {
			if p.kind == variable && !needed[i] && words[p.name] {
				needed[i], again = true, true
				for w := range identifiers(p.text) {
					words[w] = true
				}
			}
		}
	}
	var b strings.Builder
	for i, p := range pieces {
		if needed[i] {
			b.WriteString(p.text)
			b.WriteString("\n")
		}
	}
	return b.String(), nil
}

var identifier = regexp.MustCompile(`[A-Za-z_$][\w$]*`)

// identifiers are the words of a declaration.
func identifiers(text string) map[string]bool {
	words := map[string]bool{}
	for _, w := range identifier.FindAllString(text, -1) {
		words[w] = true
	}
	return words
}
