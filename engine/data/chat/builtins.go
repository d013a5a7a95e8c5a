package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ardanlabs/jinja"
)

// budget is what one rendering may spend: bytes printed or assigned, rounds
// of loops and macro calls, each of these counted as roundCost bytes, and
// values other than strings as valueCost.
const (
	budget    = 128 << 20
	roundCost = 256
	valueCost = 32
)

var errBudget = errors.New("the template does too much work: it was stopped")

// A RaisedError is what a template says with raise_exception.
type RaisedError struct{ Message string }

func (e *RaisedError) Error() string { return "the template refuses these messages: " + e.Message }

// A meter holds the limits of one rendering.
type meter struct {
	left       int
	depth      int // of macro calls
	namespaces map[*jinja.Dict]bool
}

func (m *meter) spend(n int) error {
	if m.left -= n; m.left < 0 {
		return errBudget
	}
	return nil
}

// weigh spends the size of a value, as printed.
func (m *meter) weigh(v jinja.Value) error {
	return m.walk(v, 0, func(v jinja.Value) error {
		if v.IsString() {
			return m.spend(len(v.AsString()))
		}
		return m.spend(valueCost)
	})
}

// keep weighs a value that a container is about to hold, and refuses it if it
// could make the container hold itself.
func (m *meter) keep(v jinja.Value, container *jinja.List) error {
	return m.walk(v, 0, func(v jinja.Value) error {
		if v.IsDict() && m.namespaces[v.AsDict()] || v.IsList() && v.AsList() == container {
			return errors.New("a namespace or list must not be put into another")
		}
		return m.spend(valueCost)
	})
}

// walk visits a value and everything in it.
func (m *meter) walk(v jinja.Value, depth int, visit func(jinja.Value) error) error {
	if depth > maxDepth {
		return fmt.Errorf("a value has more than %d levels", maxDepth)
	}
	if err := visit(v); err != nil {
		return err
	}
	switch {
	case v.IsList():
		for _, item := range v.AsList().Items {
			if err := m.walk(item, depth+1, visit); err != nil {
				return err
			}
		}
	case v.IsDict():
		for _, key := range v.AsDict().OrderedKeys() {
			item, _ := v.AsDict().Get(key)
			if err := m.walk(item, depth+1, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

type (
	args   = []jinja.Value
	kwargs = map[string]jinja.Value
)

// arg is a positional or named argument; Undefined if it is absent.
func arg(a args, k kwargs, i int, key string) jinja.Value {
	if i < len(a) {
		return a[i]
	}
	if v, ok := k[key]; ok {
		return v
	}
	return jinja.Undefined()
}

// builtins are the functions and filters of one rendering. mark is what
// {% generation %} and {% endgeneration %} print.
func builtins(now time.Time, mark func(begin bool) string) map[string]jinja.Value {
	m := &meter{left: budget, namespaces: map[*jinja.Dict]bool{}}
	all := map[string]jinja.Value{}
	define := func(key string, f func(a args, k kwargs) (jinja.Value, error)) {
		all[key] = jinja.NewCallable(strings.TrimPrefix(key, hidden), f)
	}
	nothing := jinja.NewString("")

	define(hidden+"print", func(a args, _ kwargs) (jinja.Value, error) {
		if len(a) != 1 {
			return nothing, errors.New("want one value between {{ and }}")
		}
		if err := m.weigh(a[0]); err != nil {
			return nothing, err
		}
		return jinja.NewString(text(a[0])), nil
	})
	define(hidden+"meter", func(a args, _ kwargs) (jinja.Value, error) {
		if len(a) != 1 {
			return nothing, errors.New("want one value after =")
		}
		return a[0], m.weigh(a[0])
	})
	define(hidden+"keep", func(a args, _ kwargs) (jinja.Value, error) {
		if len(a) != 1 {
			return nothing, errors.New("want one value after =")
		}
		return a[0], errors.Join(m.keep(a[0], nil), m.weigh(a[0]))
	})
	define(hidden+"tick", func(args, kwargs) (jinja.Value, error) { return nothing, m.spend(roundCost) })
	define(hidden+"enter", func(args, kwargs) (jinja.Value, error) {
		if m.depth++; m.depth > maxDepth {
			return nothing, fmt.Errorf("macros call each other more than %d deep", maxDepth)
		}
		return nothing, m.spend(roundCost)
	})
	define(hidden+"leave", func(args, kwargs) (jinja.Value, error) { m.depth--; return nothing, nil })
	define(hidden+"mark", func(a args, _ kwargs) (jinja.Value, error) {
		return jinja.NewString(mark(a[0].AsBool())), nil
	})

	define("raise_exception", func(a args, k kwargs) (jinja.Value, error) {
		return nothing, &RaisedError{text(arg(a, k, 0, "message"))}
	})
	define("strftime_now", func(a args, k kwargs) (jinja.Value, error) {
		return jinja.NewString(strftime(now, text(arg(a, k, 0, "format")))), nil
	})
	define("range", func(a args, _ kwargs) (jinja.Value, error) { return rangeList(m, a) })
	// The library has the arguments in random order; sorted, at least, they are always the same.
	dict := func(_ args, k kwargs) (jinja.Value, error) {
		d := jinja.NewDict()
		keys := make([]string, 0, len(k))
		for key := range k {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			d.AsDict().Set(key, k[key])
		}
		return d, m.keep(d, nil)
	}
	define("dict", dict)
	define("namespace", func(a args, k kwargs) (jinja.Value, error) {
		d, err := dict(a, k)
		m.namespaces[d.AsDict()] = true
		return d, err
	})
	defineFilters(define, m)
	return all
}

func defineFilters(define func(string, func(args, kwargs) (jinja.Value, error)), m *meter) {
	fallback := func(a args, k kwargs) (jinja.Value, error) {
		boolean := arg(a, k, 2, "boolean")
		if a[0].IsUndefined() || boolean.IsTruthy() && !a[0].IsTruthy() {
			if v := arg(a, k, 1, "default_value"); !v.IsUndefined() {
				return v, nil
			}
			return jinja.NewString(""), nil
		}
		return a[0], nil
	}
	define(hidden+"default", fallback)
	define(hidden+"d", fallback)
	define(hidden+"tojson", func(a args, k kwargs) (jinja.Value, error) {
		w := jsonWriter{meter: m, ascii: k["ensure_ascii"].IsTruthy(), sorted: k["sort_keys"].IsTruthy(), indent: -1, item: ", ", key: ": "}
		if v := arg(a, k, 1, "indent"); v.IsInt() {
			w.indent, w.item = int(min(max(v.AsInt(), 0), 32)), ","
		}
		if v := k["separators"]; v.IsList() && v.AsList().Len() == 2 {
			w.item, w.key = text(v.AsList().Get(0)), text(v.AsList().Get(1))
		}
		err := w.write(a[0], 0)
		return jinja.NewString(w.out.String()), err
	})
	define(hidden+"join", func(a args, k kwargs) (jinja.Value, error) {
		if !a[0].IsList() {
			return jinja.NewString(text(a[0])), nil
		}
		separator, attribute := text(arg(a, k, 1, "d")), arg(a, k, 2, "attribute")
		var b strings.Builder
		for i, item := range a[0].AsList().Items {
			if attribute.IsString() && item.IsDict() {
				item, _ = item.AsDict().Get(attribute.AsString())
			}
			if i > 0 {
				b.WriteString(separator)
			}
			if err := errors.Join(m.spend(len(separator)+1), m.weigh(item)); err != nil {
				return a[0], err
			}
			b.WriteString(text(item))
		}
		return jinja.NewString(b.String()), nil
	})
	define(hidden+"indent", func(a args, k kwargs) (jinja.Value, error) {
		pad := arg(a, k, 1, "width")
		prefix := "    "
		if pad.IsInt() {
			prefix = strings.Repeat(" ", int(min(max(pad.AsInt(), 0), 1024)))
		} else if pad.IsString() {
			prefix = pad.AsString()
		}
		s, err := m.replace(text(a[0]), "\n", "\n"+prefix, -1)
		if blank := arg(a, k, 3, "blank"); !blank.IsTruthy() {
			s = strings.ReplaceAll(s, "\n"+prefix+"\n", "\n\n")
			for strings.Contains(s, "\n"+prefix+"\n") {
				s = strings.ReplaceAll(s, "\n"+prefix+"\n", "\n\n")
			}
			if strings.HasSuffix(s, "\n"+prefix) {
				s = strings.TrimSuffix(s, prefix)
			}
		}
		if arg(a, k, 2, "first").IsTruthy() {
			s = prefix + s
		}
		return jinja.NewString(s), err
	})
	replace := func(a args, k kwargs) (jinja.Value, error) {
		count := -1
		if v := arg(a, k, 3, "count"); v.IsInt() {
			count = int(v.AsInt())
		}
		s, err := m.replace(text(a[0]), text(arg(a, k, 1, "old")), text(arg(a, k, 2, "new")), count)
		return jinja.NewString(s), err
	}
	define(hidden+"replace", replace)
	define(hidden+"method_replace", replace)
	onString := func(f func(string) string) func(args, kwargs) (jinja.Value, error) {
		return func(a args, _ kwargs) (jinja.Value, error) { return jinja.NewString(f(text(a[0]))), nil }
	}
	for key, f := range mapped {
		define(hidden+key, onString(f))
		if key != "trim" && key != "string" {
			define(hidden+"method_"+key, onString(f))
		}
	}
	strip := func(left, right bool) func(a args, k kwargs) (jinja.Value, error) {
		return func(a args, k kwargs) (jinja.Value, error) {
			s, cut := text(a[0]), unicode.IsSpace
			if v := arg(a, k, 1, "chars"); v.IsString() {
				cut = func(r rune) bool { return strings.ContainsRune(v.AsString(), r) }
			}
			if left {
				s = strings.TrimLeftFunc(s, cut)
			}
			if right {
				s = strings.TrimRightFunc(s, cut)
			}
			return jinja.NewString(s), nil
		}
	}
	define(hidden+"map", func(a args, _ kwargs) (jinja.Value, error) {
		filter, items := mapped[text(arg(a, nil, 1, ""))], args{}
		if filter == nil || !a[0].IsList() {
			return a[0], errors.New("map wants a list and the name of a string filter")
		}
		for _, item := range a[0].AsList().Items {
			if err := m.weigh(item); err != nil {
				return a[0], err
			}
			items = append(items, jinja.NewString(filter(text(item))))
		}
		return jinja.NewList(items), nil
	})
	define(hidden+"trim", strip(true, true))
	define(hidden+"method_strip", strip(true, true))
	define(hidden+"method_lstrip", strip(true, false))
	define(hidden+"method_rstrip", strip(false, true))
	affix := func(has func(s, affix string) bool) func(args, kwargs) (jinja.Value, error) {
		return func(a args, k kwargs) (jinja.Value, error) {
			v := arg(a, k, 1, "prefix")
			if v.IsList() { // a tuple: any of them
				return jinja.NewBool(slices.ContainsFunc(v.AsList().Items, func(v jinja.Value) bool { return has(text(a[0]), text(v)) })), nil
			}
			return jinja.NewBool(has(text(a[0]), text(v))), nil
		}
	}
	define(hidden+"method_startswith", affix(strings.HasPrefix))
	define(hidden+"method_endswith", affix(strings.HasSuffix))
	define(hidden+"method_append", func(a args, _ kwargs) (jinja.Value, error) {
		if len(a) != 2 || !a[0].IsList() {
			return a[0], errors.New("append wants a list and one value")
		}
		list := a[0].AsList()
		if err := errors.Join(m.spend(roundCost), m.keep(a[1], list)); err != nil {
			return a[0], err
		}
		list.Append(a[1])
		return jinja.None(), nil
	})
	define(hidden+"method_split", func(a args, k kwargs) (jinja.Value, error) {
		var parts []string
		if sep := arg(a, k, 1, "sep"); sep.IsString() && sep.AsString() != "" {
			limit := -1
			if v := arg(a, k, 2, "maxsplit"); v.IsInt() && v.AsInt() >= 0 {
				limit = int(min(v.AsInt(), math.MaxInt32)) + 1
			}
			parts = strings.SplitN(text(a[0]), sep.AsString(), limit)
		} else {
			parts = strings.Fields(text(a[0]))
		}
		values := make(args, len(parts))
		for i, part := range parts {
			values[i] = jinja.NewString(part)
		}
		return jinja.NewList(values), m.spend(len(parts))
	})
}

// mapped are the filters from string to string, which map can apply.
var mapped = map[string]func(string) string{
	"capitalize": capitalize,
	"lower":      strings.ToLower,
	"string":     func(s string) string { return s },
	"title":      title,
	"trim":       strings.TrimSpace,
	"upper":      strings.ToUpper,
}

// replace is strings.Replace with its result paid for before it is made.
func (m *meter) replace(s, from, to string, count int) (string, error) {
	n := strings.Count(s, from)
	if count >= 0 {
		n = min(n, count)
	}
	if err := m.spend(len(s)); err != nil {
		return "", err
	}
	if n > 0 && len(to) > m.left/n {
		return "", errBudget
	}
	return strings.Replace(s, from, to, count), m.spend(n * len(to))
}

func rangeList(m *meter, a args) (jinja.Value, error) {
	bounds := []int64{0, 0, 1}
	for i, v := range a {
		if i > 2 || !v.IsInt() {
			return jinja.Undefined(), errors.New("range wants one to three whole numbers")
		}
		bounds[i] = v.AsInt()
	}
	if len(a) == 1 {
		bounds[0], bounds[1] = 0, bounds[0]
	}
	from, to, step := bounds[0], bounds[1], bounds[2]
	if len(a) == 0 || step == 0 {
		return jinja.Undefined(), errors.New("range wants one to three whole numbers, the third not zero")
	}
	var items args
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if err := m.spend(roundCost); err != nil {
			return jinja.Undefined(), err
		}
		items = append(items, jinja.NewInt(i))
	}
	return jinja.NewList(items), nil
}

// text is a value as Jinja2 prints it.
func text(v jinja.Value) string {
	switch {
	case v.IsUndefined() || v.IsCallable():
		return ""
	case v.IsString():
		return v.AsString()
	case v.IsFloat():
		return pythonFloat(v.AsFloat())
	}
	return v.String()
}

func pythonFloat(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if a := math.Abs(f); a == 0 || a >= 1e-4 && a < 1e16 {
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0"
	}
	return s
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return strings.ToUpper(string(r)) + strings.ToLower(s[n:])
}

func title(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		was := inWord
		if inWord = unicode.IsLetter(r) || unicode.IsDigit(r); was {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// strftime formats the directives that templates use; others stay as they are.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, ok := map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05",
			'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'Z': "MST", 'z': "-0700", 'j': "002"}[format[i]]
		switch {
		case ok:
			b.WriteString(t.Format(layout))
		case format[i] == '%':
			b.WriteByte('%')
		default:
			b.WriteString(format[i-1 : i+1])
		}
	}
	return b.String()
}

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
