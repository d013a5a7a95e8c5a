package chat

import (
	"errors"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ardanlabs/jinja"
)

// defineFilters adds the filters and string methods that this package executes.
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
