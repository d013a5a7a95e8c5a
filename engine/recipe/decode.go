package recipe

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A mark remembers where a key was given.
type mark struct {
	place           // of the value; of the key for a section
	key       place // of the key
	inherited bool  // from the recipe's top level into a stage
	flag      bool  // by an override, not in the file
}

// A decoder writes nodes into settings by the schema.
type decoder struct {
	where string          // "", or "stage pretrain", for messages
	marks map[string]mark // filled with every key that is given
	flag  bool
}

// section decodes a mapping into the struct v, whose dotted prefix is "" or ends with a dot.
func (d decoder) section(v reflect.Value, n node, prefix string) error {
	if n.kind != mappingNode {
		return n.place.errorf(strings.TrimSuffix(prefix, "."), "%swants keys below it, found %s",
			colon(strings.TrimSuffix(prefix, ".")), n.found())
	}
	for _, p := range n.pairs {
		f, ok := findField(v.Type(), p.key)
		if !ok {
			return d.unknown(v.Type(), p.place, prefix, p.key)
		}
		key := prefix + p.key
		d.marks[key] = mark{place: p.value.place, key: p.place, flag: d.flag}
		target := v.FieldByIndex(f.index)
		if f.isSection() {
			d.marks[key] = mark{place: p.place, key: p.place, flag: d.flag}
			if p.value.kind != mappingNode {
				return p.value.place.errorf(key, "%s: wants keys below it, found %s", key, p.value.found()).advise(
					fmt.Sprintf("%s accepts: %s", key, strings.Join(names(f.typ), ", ")))
			}
			if err := d.section(target, p.value, key+"."); err != nil {
				return err
			}
			continue
		}
		if err := assign(target, f, p.value, key); err != nil {
			return err
		}
	}
	return nil
}

func colon(key string) string {
	if key == "" {
		return ""
	}
	return key + ": "
}

// unknown is the error of a key that the section does not have.
func (d decoder) unknown(t reflect.Type, at place, prefix, key string) *Error {
	section := strings.TrimSuffix(prefix, ".")
	switch {
	case section == "" && d.where == "":
		section = "the recipe"
	case section == "":
		section = d.where
	}
	e := at.errorf(prefix+key, "unknown key %s in %s", quoted(key), section)
	accepted := names(t)
	if near := Suggest(key, accepted); near != "" {
		e.hint("did you mean %q?", near)
	} else if elsewhere := elsewhere(key); elsewhere != "" {
		e.hint("did you mean %s?", elsewhere)
	}
	return e.advise(fmt.Sprintf("%s accepts: %s", section, strings.Join(accepted, ", ")))
}

// elsewhere finds the dotted key whose last word is key.
func elsewhere(key string) string {
	for _, k := range Keys() {
		if strings.HasSuffix(k.Name, "."+key) {
			return k.Name
		}
	}
	return ""
}

// assign decodes one value into v.
func assign(v reflect.Value, f field, n node, key string) error {
	fail := func(at place, c *complaint) error {
		e := at.errorf(key, "%s: %s", key, c.message)
		e.Hint = c.hint
		return e
	}
	switch f.typ.Kind() {
	case reflect.Slice, reflect.Array:
		return assignList(v, f, n, key)
	case reflect.Map:
		return assignMap(v, n, key)
	}
	if n.kind == emptyNode {
		return fail(n.place, &complaint{"has no value", "give one, or remove the key"})
	}
	if n.kind != scalarNode {
		return fail(n.place, &complaint{fmt.Sprintf("wants %s, found %s", article(f), n.found()), ""})
	}
	if f.auto && n.text == "auto" {
		v.SetZero()
		return nil
	}
	if c := assignScalar(v, f, n); c != nil {
		return fail(n.place, c)
	}
	return nil
}

func article(f field) string {
	switch f.typ.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool, reflect.Pointer:
		return "true or false"
	case reflect.String:
		return "text"
	}
	return "one value"
}

// assignScalar decodes a scalar by the Go type of v.
func assignScalar(v reflect.Value, f field, n node) *complaint {
	if f.typ.Kind() == reflect.String {
		text, c := textOf(n)
		if c == nil {
			c = checkWord(text, f.oneof)
		}
		if c == nil {
			v.SetString(text)
		}
		return c
	}
	if n.quoted && !n.flag {
		c := &complaint{fmt.Sprintf("wants %s, found the text %s", article(f), quoted(n.text)), ""}
		if looksNumeric(n.text) || n.text == "true" || n.text == "false" {
			c.hint = "remove the quotes"
		}
		return c
	}
	switch {
	case f.typ == stepsType:
		s, c := parseSteps(n.text)
		if c == nil {
			v.Set(reflect.ValueOf(s))
		}
		return c
	case f.typ == durationType:
		d, c := parseDuration(n.text)
		if c == nil {
			v.SetInt(int64(d))
		}
		return c
	}
	switch f.typ.Kind() {
	case reflect.Int:
		i, c := parseInt(n.text)
		if c == nil {
			c = f.rng.check(float64(i))
		}
		if c == nil {
			v.SetInt(i)
		}
		return orAuto(c, f)
	case reflect.Float64:
		x, c := parseFloat(n.text)
		if c == nil {
			c = f.rng.check(x)
		}
		if c == nil {
			v.SetFloat(x)
		}
		return orAuto(c, f)
	case reflect.Bool:
		b, c := parseBool(n.text)
		v.SetBool(b)
		return c
	case reflect.Pointer:
		b, c := parseBool(n.text)
		v.Set(reflect.ValueOf(&b))
		return orAuto(c, f)
	}
	panic("recipe: no decoder for " + f.typ.String())
}

func orAuto(c *complaint, f field) *complaint {
	if c != nil && f.auto && strings.HasPrefix(c.message, "wants ") {
		c.message = strings.Replace(c.message, ", found", " or auto, found", 1)
	}
	return c
}

// textOf returns a scalar as text, refusing what another reader of YAML would not take for text.
func textOf(n node) (string, *complaint) {
	if n.quoted || n.flag {
		return n.text, nil
	}
	switch {
	case n.text == "true" || n.text == "false":
		return "", &complaint{"wants text, found " + n.text, "put it in quotes"}
	case leadingZero.MatchString(n.text) && numberForm.MatchString(n.text), basedForm.MatchString(n.text),
		groupedForm.MatchString(n.text):
		return "", &complaint{fmt.Sprintf("wants text, and %s is a number that YAML would rewrite", printable(n.text)),
			"put it in quotes"}
	}
	return n.text, nil
}

func checkWord(text string, oneof []string) *complaint {
	if len(oneof) == 0 || slices.Contains(oneof, text) {
		return nil
	}
	c := &complaint{message: fmt.Sprintf("%s is not one of %s", quoted(text), strings.Join(oneof, ", "))}
	if near := Suggest(text, oneof); near != "" {
		c.hint = fmt.Sprintf("did you mean %q?", near)
	}
	return c
}

// assignList decodes a list; a single scalar counts as a list of one, and in a flag several words may stand between commas.
func assignList(v reflect.Value, f field, n node, key string) error {
	if n.flag && strings.HasPrefix(n.text, "[") {
		list, err := flowValue(n)
		if err != nil {
			return n.place.errorf(key, "%s: %s is not a list", key, quoted(n.text)).advise("write [a, b, c]")
		}
		n = list
	}
	items := n.items
	if n.flag && n.kind == scalarNode && f.split { // --eval.tasks ppl,bpb
		for word := range strings.SplitSeq(n.text, ",") {
			item := n
			item.text = strings.TrimSpace(word)
			items = append(items, item)
		}
	} else if n.kind == scalarNode && f.typ.Kind() == reflect.Slice {
		items = []node{n}
	} else if n.kind != listNode {
		return n.place.errorf(key, "%s: wants a list, found %s", key, n.found()).hint("write [a, b, c]")
	}
	elem := f
	elem.typ = f.typ.Elem()
	if f.typ.Kind() == reflect.Array {
		if len(items) != v.Len() {
			return n.place.errorf(key, "%s: wants %d numbers, found %d", key, v.Len(), len(items))
		}
	} else if v.SetZero(); len(items) > 0 {
		v.Set(reflect.MakeSlice(f.typ, len(items), len(items)))
	}
	for i, item := range items {
		if err := assign(v.Index(i), elem, item, fmt.Sprintf("%s[%d]", key, i)); err != nil {
			return err
		}
	}
	return nil
}

// assignMap decodes a mapping of words to words; on the command line also a=b,c=d.
func assignMap(v reflect.Value, n node, key string) error {
	out := map[string]string{}
	switch {
	case n.kind == mappingNode:
		for _, p := range n.pairs {
			text, c := textOf(p.value)
			if p.value.kind != scalarNode || c != nil {
				return p.value.place.errorf(key, "%s.%s: wants text, found %s", key, p.key, p.value.found())
			}
			out[p.key] = text
		}
	case n.flag:
		for _, part := range strings.Split(n.text, ",") {
			name, value, ok := strings.Cut(part, "=")
			if !ok || name == "" || value == "" {
				return n.place.errorf(key, "%s: wants name=name, found %s", key, quoted(part))
			}
			out[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	default:
		return n.place.errorf(key, "%s: wants names below it, found %s", key, n.found()).hint("write {bot: assistant}")
	}
	if v.SetZero(); len(out) > 0 {
		v.Set(reflect.ValueOf(out))
	}
	return nil
}

// flowValue parses a flag's text such as [a, b] as YAML; every part keeps the flag's place.
func flowValue(n node) (node, error) {
	root, _, err := parseYAML("", []byte("v: "+n.text+"\n"))
	if err != nil || len(root.pairs) != 1 {
		return node{}, fmt.Errorf("not a list: %w", err)
	}
	value := root.pairs[0].value
	relocate(&value, n.place)
	return value, nil
}

func relocate(n *node, at place) {
	n.place = at
	for i := range n.items {
		relocate(&n.items[i], at)
	}
	for i := range n.pairs {
		n.pairs[i].place = at
		relocate(&n.pairs[i].value, at)
	}
}

// setDefaults fills v from the default tags.
func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		target := v.FieldByIndex(f.index)
		switch {
		case f.isSection():
			setDefaults(target)
		case f.def == "" || f.auto || f.typ.Kind() == reflect.Int && f.def == "0":
		default:
			if err := assign(target, f, node{text: f.def, flag: true}, f.name); err != nil {
				panic(fmt.Sprintf("recipe: default of %s: %v", f.name, err))
			}
		}
	}
}

// format writes a value in the form that assign reads back to the same value.
func format(v reflect.Value, f field) string {
	if f.auto && v.IsZero() {
		return "auto"
	}
	switch x := v.Interface().(type) {
	case Steps:
		return x.String()
	case time.Duration:
		return formatDuration(x)
	case map[string]string:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, scalarText(k)+": "+scalarText(x[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	switch v.Kind() {
	case reflect.Pointer:
		return fmt.Sprint(v.Elem().Bool())
	case reflect.Bool:
		return fmt.Sprint(v.Bool())
	case reflect.Int:
		return fmt.Sprint(v.Int())
	case reflect.Float64:
		return formatFloat(v.Float())
	case reflect.Slice, reflect.Array:
		elem := f
		elem.typ, elem.auto = f.typ.Elem(), false
		var parts []string
		for i := range v.Len() {
			parts = append(parts, format(v.Index(i), elem))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return scalarText(v.String())
}
