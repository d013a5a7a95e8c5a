package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"
)

// A jsonWriter writes JSON as Python's json.dumps does.
type jsonWriter struct {
	out           strings.Builder
	meter         *meter
	ascii, sorted bool
	indent        int // -1 for one line
	item, key     string
}

func (w *jsonWriter) write(v jinja.Value, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("tojson: more than %d levels", maxDepth)
	}
	if err := w.meter.spend(1 + max(w.indent, 0)*depth); err != nil {
		return err
	}
	switch {
	case v.IsUndefined() || v.IsCallable():
		return errors.New("tojson: the value is undefined")
	case v.IsNone():
		w.out.WriteString("null")
	case v.IsString():
		w.string(v.AsString())
		return w.meter.spend(len(v.AsString()))
	case v.IsList():
		return w.list('[', ']', v.AsList().Len(), depth, func(i int) error { return w.write(v.AsList().Get(i), depth+1) })
	case v.IsDict():
		keys := slices.Clone(v.AsDict().OrderedKeys())
		if w.sorted {
			slices.Sort(keys)
		}
		return w.list('{', '}', len(keys), depth, func(i int) error {
			w.string(keys[i])
			w.out.WriteString(w.key)
			item, _ := v.AsDict().Get(keys[i])
			return w.write(item, depth+1)
		})
	case v.IsBool():
		w.out.WriteString(strconv.FormatBool(v.AsBool()))
	default:
		w.out.WriteString(text(v))
	}
	return nil
}

func (w *jsonWriter) list(open, end byte, n, depth int, each func(int) error) error {
	w.out.WriteByte(open)
	for i := range n {
		if i > 0 {
			w.out.WriteString(w.item)
		}
		w.line(depth + 1)
		if err := each(i); err != nil {
			return err
		}
	}
	if n > 0 {
		w.line(depth)
	}
	w.out.WriteByte(end)
	return nil
}

// line starts a new line when indenting.
func (w *jsonWriter) line(depth int) {
	if w.indent >= 0 {
		w.out.WriteByte('\n')
		w.out.WriteString(strings.Repeat(" ", w.indent*depth))
	}
}

func (w *jsonWriter) string(s string) {
	w.out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			b, _ := json.Marshal(string(r))
			w.out.Write(b[1 : len(b)-1])
		case r < ' ' || w.ascii && r > '~' && r < 0x10000:
			fmt.Fprintf(&w.out, "\\u%04x", r)
		case w.ascii && r >= 0x10000:
			fmt.Fprintf(&w.out, "\\u%04x\\u%04x", 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			w.out.WriteRune(r)
		}
	}
	w.out.WriteByte('"')
}
