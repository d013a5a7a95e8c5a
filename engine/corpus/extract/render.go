package extract

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/atom"
)

// A writer turns elements into text: a blank line between blocks, "- " before list items, one line per table row with " | "
// between cells, code kept as it stands between fences.
type writer struct {
	b      strings.Builder
	space  bool // white space is due before the next word
	breaks int  // newlines due before the next word
	prefix string
	pre    int32 // texts before this node keep their white space
	max    int   // bytes
}

func (w *writer) newline(n int) {
	w.breaks = max(w.breaks, n)
	w.space = false
}

// flush writes what is due before a word.
func (w *writer) flush() {
	if w.b.Len() > 0 {
		if w.breaks > 0 {
			for range w.breaks {
				w.b.WriteByte('\n')
			}
		} else if w.space {
			w.b.WriteByte(' ')
		}
	}
	w.breaks, w.space = 0, false
	if w.prefix != "" {
		w.b.WriteString(w.prefix)
		w.prefix = ""
	}
}

func (w *writer) text(s string) {
	for len(s) > 0 && w.b.Len() < w.max {
		k := 0
		for k < len(s) {
			r, n := rune(s[k]), 1
			if r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(s[k:])
			}
			if unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' || r == '\u00ad' || r < ' ' || r == 0x7f {
				if k > 0 {
					break
				}
				if r != '\u200b' && r != '\ufeff' && r != '\u00ad' {
					w.space = true
				}
				s = s[n:]
				continue
			}
			k += n
		}
		if k == 0 {
			return
		}
		w.flush()
		w.b.WriteString(s[:k])
		s = s[k:]
	}
}

// verbatim writes code: line ends and indentation stay.
func (w *writer) verbatim(s string) {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if room := w.max - w.b.Len(); len(s) > room {
		s = clip(s, max(room, 0))
	}
	for _, r := range s {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			continue
		}
		w.b.WriteRune(r)
	}
}

// An ending is what to do when a walk leaves an element.
type ending struct {
	at     int32
	breaks int
	fence  bool
}

// render writes the subtree of root, without what is left out.
func (p *page) render(w *writer, root int32) { p.renderRange(w, root, p.nodes[root].end) }

// renderRange writes the nodes from one up to another, without what is left out.
func (p *page) renderRange(w *writer, from, to int32) {
	var stack []ending
	type list struct {
		end  int32
		next int // 0 when unordered
	}
	var lists []list
	leave := func(at int32) {
		for len(stack) > 0 && stack[len(stack)-1].at <= at {
			e := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if e.fence {
				w.b.WriteString("\n```")
				w.pre = 0
			}
			w.prefix = ""
			w.newline(e.breaks)
		}
		for len(lists) > 0 && lists[len(lists)-1].end <= at {
			lists = lists[:len(lists)-1]
		}
	}
	w.newline(2)
	for i := from; i < to && w.b.Len() < w.max; i++ {
		leave(i)
		x := &p.nodes[i]
		if p.out[i] {
			i = x.end - 1
			continue
		}
		if x.isText() {
			if i < w.pre {
				w.verbatim(x.text)
			} else {
				w.text(x.text)
			}
			continue
		}
		if i < w.pre {
			if x.tag == atom.Br || (x.tag == atom.Div || x.tag == atom.P || x.tag == atom.Li) && !strings.HasSuffix(w.b.String(), "\n") {
				w.b.WriteByte('\n')
			}
			continue
		}
		switch x.tag {
		case atom.Br:
			w.newline(1)
		case atom.Hr:
			w.newline(2)
		case atom.Pre:
			if p.chars[i] == 0 || p.rows(i) {
				break
			}
			w.newline(2)
			w.flush()
			w.b.WriteString("```\n")
			w.pre = x.end
			stack = append(stack, ending{at: x.end, breaks: 2, fence: true})
		case atom.Ul, atom.Ol, atom.Menu:
			l := list{end: x.end}
			if x.tag == atom.Ol {
				if l.next, _ = strconv.Atoi(p.get(i, "start")); l.next <= 0 {
					l.next = 1
				}
			}
			n := 2
			if len(lists) > 0 {
				n = 1
			}
			w.newline(n)
			lists = append(lists, l)
			stack = append(stack, ending{at: x.end, breaks: n})
		case atom.Li:
			w.newline(1)
			w.prefix = "- "
			if len(lists) > 0 {
				l := &lists[len(lists)-1]
				if l.next > 0 {
					w.prefix = strconv.Itoa(l.next) + ". "
					l.next++
				}
				w.prefix = strings.Repeat("  ", min(len(lists)-1, 8)) + w.prefix
			}
			stack = append(stack, ending{at: x.end, breaks: 1})
		case atom.Tr:
			w.newline(1)
			stack = append(stack, ending{at: x.end, breaks: 1})
		case atom.Td, atom.Th:
			if p.layout(i) {
				w.newline(2)
				stack = append(stack, ending{at: x.end, breaks: 2})
			} else if w.breaks == 0 && p.chars[i] > 0 {
				w.text(" |")
				w.space = true
			}
		default:
			if !isBlock[x.tag] && x.tag != 0 {
				continue
			}
			n := 2
			if x.tag == atom.Dt || x.tag == atom.Dd || x.tag == 0 || p.inCell(i) {
				n = 1
			} else if x.tag == atom.Div && p.prose[i] == 0 {
				n = 1
			}
			if up := p.nodes[x.parent].tag; up == atom.Li && w.prefix != "" { // the item's own text: stays behind its mark
				stack = append(stack, ending{at: x.end, breaks: 1})
				continue
			}
			prefix := w.prefix
			w.newline(n)
			w.prefix = prefix
			stack = append(stack, ending{at: x.end, breaks: n})
		}
	}
	leave(1 << 30)
	w.newline(2)
}

// inCell reports whether a block is the content of a table cell.
func (p *page) inCell(i int32) bool {
	up := p.nodes[i].parent
	return (p.nodes[up].tag == atom.Td || p.nodes[up].tag == atom.Th) && !p.layout(up)
}

// layout reports whether a table cell holds a part of the page and not a datum.
func (p *page) layout(cell int32) bool { return p.prose[cell] > 1000 }

// rows reports whether a <pre> holds tables (line numbers beside code are laid out so).
func (p *page) rows(i int32) bool {
	for k := i; k < p.nodes[i].end; k++ {
		if p.nodes[k].tag == atom.Table {
			return true
		}
	}
	return false
}
