package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type goldenCase struct {
	Name, Template string
	Messages       []Message
	Prompt         bool
	Variables      map[string]any
	Want           *string
	Error          string
}

func goldenCases(t testing.TB) (cases []goldenCase) {
	b, err := os.ReadFile(filepath.Join("testdata", "golden.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &cases))
	require.NotEmpty(t, cases)
	return cases
}

func TestTemplatesRenderAsInPython(t *testing.T) {
	for _, c := range goldenCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			template, err := Parse(c.Template)
			require.NoError(t, err)
			require.Equal(t, c.Template, template.Source())
			got, err := template.render(c.Messages, RenderOptions{AddGenerationPrompt: c.Prompt, BOS: "<s>", EOS: "</s>",
				Variables: c.Variables, Now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}, true)
			if c.Want == nil {
				var raised *RaisedError
				require.ErrorAs(t, err, &raised)
				require.Equal(t, c.Error, raised.Message)
				return
			}
			require.NoError(t, err)
			require.Equal(t, *c.Want, got)
		})
	}
}

func TestTemplatesAreRefusedWithTheLine(t *testing.T) {
	for source, want := range map[string]string{
		"a\n{% if x %}":                        "line 2: if is not closed",
		"{{ x":                                 "line 1: tag is not closed with }}",
		"\n\n{# x":                             "line 3: comment is not closed",
		"{% raw %}x":                           "raw block is not closed",
		"{{ 'x }}":                             "string is not closed",
		"{% endif %}":                          `unexpected statement "endif"`,
		"{% if a %}{% endfor %}":               `unexpected statement "endfor"`,
		"{% include 'x' %}":                    `unexpected "x" after include`,
		"{% frobnicate %}":                     `unexpected statement "frobnicate"`,
		"{{ 'a' * 9 }}":                        "operator * is not supported",
		"{{ x | frobnicate }}":                 `the filter "frobnicate" is not supported`,
		"{{ x.frobnicate() }}":                 `the method "frobnicate" is not supported`,
		"{% break %}":                          "break outside a loop",
		"{% else %}":                           "else without if or for",
		"{% set a, b = 1, 2 %}":                "want: set NAME = EXPRESSION",
		"{% for x in y recursive %}":           "recursive loops",
		"{{ (a] }}":                            `unexpected ']'`,
		"{{ a $ b }}":                          `unexpected character '$'`,
		"{{ forja_meter }}":                    "reserved",
		"{{ }}":                                "expression expected",
		"{% macro f(a=[1,2]) %}{% endmacro %}": "a macro's default",
		strings.Repeat("{% if a %}", 101) + strings.Repeat("{% endif %}", 101): "more than 100 nested blocks",
		"{{ " + strings.Repeat("(", 101) + strings.Repeat(")", 101) + " }}":    "more than 100 nested brackets",
		strings.Repeat("a", maxTemplate+1):                                     "at most 262144",
		"\xff":                                                                 "not UTF-8",
	} {
		_, err := Parse(source)
		require.ErrorContains(t, err, want, "%.40s", source)
		require.ErrorContains(t, err, "chat template: ")
	}
}

func TestGreedyTemplatesAreStopped(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"long loops":        {"{% for a in range(1000000000) %}{% endfor %}", "too much work"},
		"nested loops":      {"{% set r = range(3000) %}{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}", "too much work"},
		"doubling":          {"{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "too much work"},
		"doubling a block":  {"{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}", "too much work"},
		"printing a lot":    {"{% set x = 'abcdefgh' %}{% for a in range(20) %}{% set x = x ~ x %}{% for b in range(99999) %}{{ messages[0].content }}{% endfor %}{% endfor %}", "too much work"},
		"replacing":         {"{% set x = messages[0].content %}{{ x.replace('a', x) }}", "too much work"},
		"joining":           {"{% set x = messages[0].content %}{{ x.split('a')|join(x) }}", "too much work"},
		"indenting":         {"{{ messages[0].content.replace('a', '\n')|indent(messages[0].content) }}", "too much work"},
		"lists of lists":    {"{% set ns = namespace(x=[1]) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "too much work"},
		"endless macros":    {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "more than 100 deep"},
		"a list in itself":  {"{% set x = [] %}{% set _ = x.append(x) %}{{ x ~ '' }}", "must not be put into another"},
		"a namespace loop":  {"{% set n = namespace() %}{% set n.n = n %}{{ n ~ '' }}", "must not be put into another"},
		"a roundabout loop": {"{% set n = namespace() %}{% set l = [] %}{% set n.l = l %}{% set _ = l.append([n]) %}{{ l ~ '' }}", "must not be put into another"},
		"deep lists":        {"{% set ns = namespace(x=[]) %}{% for a in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "levels"},
		"tuples":            {"{{ 1, 2 }}", "want one value"},
		"calling a string":  {"{{ 'x'() }}", "not callable"},
	} {
		t.Run(name, func(t *testing.T) {
			template, err := Parse(c.source)
			require.NoError(t, err)
			_, err = template.Render([]Message{{User, strings.Repeat("a", 100_000)}}, RenderOptions{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestRenderingTwiceGivesTheSame(t *testing.T) {
	template, err := Parse("{{ namespace(b=1, a=2, c=3)|tojson }}{{ strftime_now('%Y') }}")
	require.NoError(t, err)
	for range 20 {
		got, err := template.Render(nil, RenderOptions{})
		require.NoError(t, err)
		require.Equal(t, `{"a": 2, "b": 1, "c": 3}1970`, got)
	}
}

func TestDefaultTemplateFollowsTheTokenizer(t *testing.T) {
	require.Equal(t, ChatML, Default(map[string]int32{"<|im_start|>": 1, "<|im_end|>": 2}).Source())
	require.Equal(t, Plain, Default(map[string]int32{"<|endoftext|>": 1}).Source())
}

func FuzzTemplate(f *testing.F) {
	for _, c := range goldenCases(f) {
		f.Add(c.Template)
	}
	f.Add("{% for a in range(9) %}{% set x = [x, x] %}{{ x }}{% endfor %}")
	f.Fuzz(func(t *testing.T, source string) {
		template, err := Parse(source)
		if err != nil {
			return
		}
		m := []Message{{User, "hi"}, {Assistant, "there"}}
		one, errOne := template.Render(m, RenderOptions{AddGenerationPrompt: true})
		two, errTwo := template.Render(m, RenderOptions{AddGenerationPrompt: true})
		require.Equal(t, one, two)
		require.Equal(t, errOne == nil, errTwo == nil)
	})
}
