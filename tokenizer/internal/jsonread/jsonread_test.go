package jsonread

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tree reads a value into what encoding/json makes of it, with numbers as text.
func tree(r *Reader) any {
	switch r.Kind() {
	case '{':
		out := map[string]any{}
		for key := range r.Entries() {
			out[key] = tree(r)
		}
		return out
	case '[':
		out := []any{}
		for range r.Elements() {
			out = append(out, tree(r))
		}
		return out
	case '"':
		return r.String()
	case 't', 'f':
		return r.Bool()
	case 'n':
		r.Null()
		return nil
	}
	text, _ := r.number()
	return json.Number(text)
}

var valid = []string{
	`{}`, `[]`, ` [ 1 , -2.5e+3 , 0 , 10 , true , false , null , "" ] `, `{"a":{"b":[{"c":"d"}]},"e":1}`,
	`"\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00é😀"`, `-0`, `0.1`, `1E5`, "\n\t{\"x\"\r\n:1}\n",
}

var invalid = []string{
	``, ` `, `{`, `[`, `"`, `"\`, `"\u12`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `[1`, `[1,`, `[1,]`, `[1 2]`, `{a:1}`, `{"a" 1}`,
	`01`, `-`, `1.`, `.5`, `1e`, `+1`, `tru`, `nul`, `falsy`, `"\x"`, `"\ud800"`, `"\ud800\u0041"`, `"\udc00"`, "\"\n\"", "\"\x00\"", "\"\xff\"", `1 2`, `{}}`, `]`,
	strings.Repeat("[", 1000),
}

func TestValuesAreReadAsByTheStandardLibrary(t *testing.T) {
	for _, text := range valid {
		r := New([]byte(text))
		got := tree(r)
		require.NoError(t, r.End(), text)
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var want any
		require.NoError(t, d.Decode(&want), text)
		assert.Equal(t, want, got, text)
		r = New([]byte(text))
		r.Skip()
		assert.NoError(t, r.End(), text)
	}
}

func TestDamagedTextIsRefused(t *testing.T) {
	for _, text := range invalid {
		r := New([]byte(text))
		tree(r)
		assert.Error(t, r.End(), "%.40q", text)
		r = New([]byte(text))
		r.Skip()
		assert.Error(t, r.End(), "%.40q", text)
	}
}

func TestErrorsGiveLineAndColumn(t *testing.T) {
	for text, want := range map[string]string{
		"{\n \"é\": x}":        "line 2, column 7: not a number",
		"{\"a\":1,\n\"a\":2}":  `line 2, column 5: field "a" is repeated`,
		"[1.5]":                "line 1, column 2: 1.5 is not an integer",
		"[99999999999999999]x": "column 20: text after the end",
		"\"a\n\"":              "line 1, column 3: control character 0x0a",
	} {
		r := New([]byte(text))
		switch r.Kind() {
		case '{':
			for range r.Fields() {
				r.Int()
			}
		case '[':
			for range r.Elements() {
				r.Int()
			}
		default:
			_ = r.String()
		}
		assert.ErrorContains(t, r.End(), want)
	}
}

func TestFirstErrorSticks(t *testing.T) {
	r := New([]byte(`[1, x, 3]`))
	count := 0
	for range r.Elements() {
		r.Int()
		count++
	}
	first := r.Err()
	require.Error(t, first)
	assert.Equal(t, 2, count)
	assert.Zero(t, r.Int())
	assert.Empty(t, r.String())
	assert.False(t, r.Null())
	r.Skip()
	assert.Equal(t, first, r.End())
}

func FuzzReader(f *testing.F) {
	for _, text := range append(valid, invalid...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := New(data)
		got := tree(r)
		if r.End() != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var want any
		require.NoError(t, d.Decode(&want))
		require.Equal(t, want, got)
	})
}
