package chat

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

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

// builtins are the functions and filters of one rendering, of which only those
// named in source are made. mark is what {% generation %} and
// {% endgeneration %} print.
func builtins(source string, now time.Time, mark func(begin bool) string) map[string]jinja.Value {
	m := &meter{left: budget, namespaces: map[*jinja.Dict]bool{}}
	all := map[string]jinja.Value{}
	define := func(key string, f func(a args, k kwargs) (jinja.Value, error)) {
		if strings.Contains(source, key) {
			all[key] = jinja.NewCallable(strings.TrimPrefix(key, hidden), f)
		}
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
