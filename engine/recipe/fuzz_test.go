package recipe

import (
	"errors"
	"strings"
	"testing"
)

// Whatever the bytes, reading a recipe ends in a recipe that can be written and read again, or in an Error whose place
// lies in the file.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{gpt2, pipeline, small, "", "a: [", "version: 1\nstages:\n  - {name: a}\n", "version: 1\n? x\n: y\n",
		"version: 1\noptim: {betas: [1, 2, 3]}\n", "&a *a", "version: 1\r\nname: \"\\x41\"\r\n", "version: 1\nname: >-\n  a\n  b\n",
		"--- !<tag:x> {}\n", "version: 1\ndata: {roles: {a: b}}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := Parse("x.yaml", src)
		if err == nil {
			err = r.Resolve()
		}
		if err == nil {
			text := r.Marshal()
			again, err := Parse("x.yaml", text)
			if err != nil {
				t.Fatalf("written recipe cannot be read: %v\n%s", err, text)
			}
			if err := again.Resolve(); err != nil {
				t.Fatalf("written recipe does not resolve: %v\n%s", err, text)
			}
			if string(again.Marshal()) != string(text) {
				t.Fatalf("written recipe changes:\n%s\nto\n%s", text, again.Marshal())
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("not a recipe error: %v", err)
		}
		lines := strings.Split(string(src), "\n")
		if e.Line < 0 || e.Line > len(lines)+1 || e.Line > 0 && e.Column < 1 {
			t.Fatalf("place outside the file: %v", err)
		}
	})
}

func FuzzSet(f *testing.F) {
	for _, seed := range [][2]string{{"optim.learning_rate", "3e-4"}, {"optim.betas", "[0.9, 0.95]"}, {"stages.a.seed", "1"},
		{"data.roles", "a=b"}, {"train.sample", "[a, {b: c}]"}, {"....", ""}, {"optim.warmup", "3%"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		r := New("x")
		var e *Error
		if err := r.Set(key, value); err != nil && !errors.As(err, &e) {
			t.Fatalf("not a recipe error: %v", err)
		}
	})
}
