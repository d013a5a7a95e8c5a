package recipe

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refuse parses and resolves text, which must fail, and returns the error.
func refuse(t *testing.T, text string) *Error {
	t.Helper()
	r, err := Parse("x.yaml", []byte(text))
	if err == nil {
		err = r.Resolve()
	}
	require.Error(t, err, text)
	var e *Error
	require.True(t, errors.As(err, &e), "%T", err)
	assert.Equal(t, "config", e.Kind())
	for _, word := range []string{"float64", "int64", "[]string", "struct", "strconv", "reflect", "goroutine"} {
		assert.NotContains(t, err.Error(), word, "a Go type or stack reached the user")
	}
	return e
}

func TestRefusedYAML(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"unknown key", "version: 1\noptim:\n  learning_rat: 6e-4\n",
			`x.yaml:3:3: unknown key "learning_rat" in optim` +
				"\n      3 |   learning_rat: 6e-4\n        |   ^^^^^^^^^^^^ did you mean \"learning_rate\"?\n" +
				"   optim accepts: betas, clip, cooldown, decay, eps, final, kind, learning_rate, momentum, schedule, spike_skip, warmup"},
		{"key of another section", "version: 1\nlearning_rate: 1\n", "did you mean optim.learning_rate?"},
		{"wrong case", "version: 1\noptim: {Clip: 1}\n", `did you mean "clip"?`},
		{"duplicate key", "version: 1\noptim:\n  clip: 1\n  clip: 2\n", "x.yaml:4:3: duplicate key \"clip\"\n      4 |   clip: 2\n        |   ^^^^ first set on line 3"},
		{"duplicate section", "version: 1\noptim: {clip: 1}\noptim: {eps: 1e-8}\n", "x.yaml:3:1: duplicate key"},
		{"tab", "version: 1\noptim:\n\tclip: 1\n", "x.yaml:3:1: a tab is used as indentation"},
		{"text into a number", "version: 1\noptim: {clip: high}\n",
			"x.yaml:2:15: optim.clip: wants a number, found the text \"high\"\n      2 | optim: {clip: high}\n        |               ^^^^"},
		{"quoted number", "version: 1\noptim: {clip: \"1\"}\n", "remove the quotes"},
		{"list into a number", "version: 1\noptim: {clip: [1]}\n", "optim.clip: wants a number, found a list"},
		{"mapping into a number", "version: 1\noptim: {clip: {a: 1}}\n", "optim.clip: wants a number, found a mapping"},
		{"scalar into a section", "version: 1\noptim: 3\n", "x.yaml:2:8: optim: wants keys below it, found 3"},
		{"fraction into an int", "version: 1\ntrain: {steps: 3.5}\n", "x.yaml:2:16: train.steps: wants a whole number or auto, found 3.5"},
		{"fraction into steps", "version: 1\noptim: {warmup: 3.5}\n", "a share of the run is written 3%"},
		{"too many percent", "version: 1\noptim: {warmup: 300%}\n", "300% is not a percentage between 0% and 100%"},
		{"leading zero", "version: 1\ntrain: {steps: 012}\n", "012 has a leading zero"},
		{"leading zero in a text", "version: 1\nmodel: {preset: 012}\n", "put it in quotes"},
		{"hexadecimal", "version: 1\ntrain: {steps: 0x10}\n", "0x10 is not accepted as a number"},
		{"underscores", "version: 1\ntrain: {steps: 1_000}\n", "write 1000"},
		{"thousands", "version: 1\nbatch:\n  tokens: 524,288\n", "write 524288"},
		{"huge int", "version: 1\ntrain: {steps: 1e30}\n", "1e30 is too large"},
		{"infinite", "version: 1\noptim: {clip: .inf}\n", "wants a number that is finite"},
		{"not a number", "version: 1\noptim: {clip: .nan}\n", "wants a number that is finite"},
		{"too large for a float", "version: 1\noptim: {clip: 1e999}\n", "too large"},
		{"yes into a bool", "version: 1\nbatch: {packing: yes}\n", "x.yaml:2:18: batch.packing: wants true or false, found the text \"yes\"\n      2 | batch: {packing: yes}\n        |                  ^^^ write true"},
		{"bool into a text", "version: 1\nname: true\n", "wants text, found true"},
		{"no value", "version: 1\noptim:\n  clip:\n", "optim.clip: has no value"},
		{"null", "version: 1\noptim:\n  clip: ~\n", "optim.clip: has no value"},
		{"anchor", "version: 1\noptim: &o {clip: 1}\n", "x.yaml:2:8: anchors (&name) are not accepted"},
		{"alias", "version: 1\noptim: {clip: *c}\n", "aliases (*name) are not accepted"},
		{"merge key", "version: 1\noptim: {<<: {clip: 1}}\n", "merge keys (<<) are not accepted"},
		{"tag", "version: 1\noptim: {clip: !!float 1}\n", "tags (!name) are not accepted"},
		{"second document", "version: 1\n---\nversion: 1\n", "x.yaml:3:1: a second document begins here"},
		{"directive", "%YAML 1.2\n---\nversion: 1\n", "directives"},
		{"empty", "", "x.yaml: the recipe is empty"},
		{"only blanks", " \n\n", "the recipe is empty"},
		{"only comments", "# nothing\n", "the recipe is empty"},
		{"only a document marker", "---\n", "the recipe is empty"},
		{"a list", "- 1\n", "a recipe is a mapping of keys to values, found a list"},
		{"a scalar", "hello\n", "a recipe is a mapping of keys to values, found the text \"hello\""},
		{"number as a key", "version: 1\n3: 4\n", "x.yaml:2:1: a key must be a word"},
		{"not UTF-8", "version: 1\nname: \xff\xfe\n", "line 2 is not UTF-8 text"},
		{"zero byte", "version: 1\nname: \x00\n", "line 2 holds a zero byte"},
		{"too large", strings.Repeat("# padding padding padding\n", 12000), "a recipe has at most 65536"},
		{"too many lines", strings.Repeat("\n", 5000), "a recipe has at most 4096"},
		{"too deep", "version: 1\na: " + strings.Repeat("[", 200), "nested more than 32 deep"},
		{"bare @", "version: 1\nbase: @a/b\n", `x.yaml:2:7: text that begins with "@" needs quotes`},
		{"open quote", "version: 1\nname: \"abc\n", "not valid YAML: could not find end character of double-quoted text"},
		{"colon in a text", "version: 1\nname: a: b\n", "a text with a colon needs quotes"},
		{"no version", "model: {depth: 4}\n", "add the line: version: 1"},
		{"a later version", "version: 2\n", "x.yaml:1:10: version: 2 is too large: at most 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			assert.Contains(t, refuse(t, c.text).Error(), c.want)
		})
	}
}

const small = "version: 1\nmodel: {arch: llama, layers: 2, channels: 64, heads: 4, context: 64}\ndata: {train: a}\n" +
	"tokenizer: {path: t}\ntrain: {steps: 10}\n"

func TestRefusedValues(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"below the range", "version: 1\nmodel: {layers: 0}\n", "model.layers: 0 is too small: at least 1"},
		{"at an open bound", "version: 1\noptim: {learning_rate: 0}\n", "optim.learning_rate: 0 is too small: more than 0"},
		{"above the range", "version: 1\njob: {priority: 101}\n", "job.priority: 101 is too large: at most 100"},
		{"an open upper bound", "version: 1\noptim: {betas: [0.9, 1]}\n", "optim.betas[1]: 1 is too large: less than 1"},
		{"too few betas", "version: 1\noptim: {betas: [0.9]}\n", "wants 2 numbers, found 1"},
		{"unknown word", "version: 1\noptim: {kind: adamn}\n", "\"adamn\" is not one of adamw, muon\n      2 | optim: {kind: adamn}\n        |               ^^^^^ did you mean \"adamw\"?"},
		{"heads do not divide channels", strings.Replace(small, "channels: 64, heads: 4", "channels: 768, heads: 10", 1),
			"x.yaml:2:55: model.heads: 768 channels cannot be split into 10 heads\n" +
				"      2 | model: {arch: llama, layers: 2, channels: 768, heads: 10, context: 64}\n" +
				"        |                                                       ^^\n" +
				"   use 8 or 12, or set model.channels to 760 or 780"},
		{"kv heads do not divide heads", strings.Replace(small, "heads: 4", "heads: 4, kv_heads: 3", 1), "use 2 or 4"},
		{"odd rotary heads", strings.Replace(small, "channels: 64, heads: 4", "channels: 12, heads: 4", 1), "cannot be rotated"},
		{"gpt2 with kv heads", strings.Replace(small, "llama, layers: 2", "gpt2, kv_heads: 2, layers: 2", 1), "gpt2 has as many"},
		{"preset and depth", strings.Replace(small, "arch: llama", "preset: gpt2-124m, depth: 4", 1), "exclude each other"},
		{"no model", "version: 1\ndata: {train: a}\ntokenizer: {path: t}\n", "pretrain needs model.preset or model.depth or"},
		{"no length", strings.Replace(small, "train: {steps: 10}\n", "", 1), "pretrain needs train.steps or train.epochs or train.tokens"},
		{"two lengths", strings.Replace(small, "steps: 10", "steps: 10, epochs: 2", 1), "train.steps and train.epochs exclude each other"},
		{"no data", strings.Replace(small, "data: {train: a}\n", "", 1), "pretrain needs data.train or data.source"},
		{"no tokenizer", strings.Replace(small, "tokenizer: {path: t}\n", "", 1), "needs tokenizer.path or tokenizer.vocab"},
		{"ragged batch", small + "batch: {tokens: 100}\n", "100 tokens are not a whole number of rows of 64\n      6 | batch: {tokens: 100}\n        |                 ^^^\n   use 64 or 128"},
		{"micro does not divide", small + "batch: {rows: 8, micro: 3}\n", "use 2 or 4"},
		{"rows too long", small + "batch: {context: 128}\n", "longer than the model's context of 64"},
		{"warmup too long", small + "optim: {warmup: 11}\n", "a warmup of 11 does not fit into the run"},
		{"warmup and cooldown too long", small + "optim: {schedule: wsd, warmup: 50%, cooldown: 60%}\n", "do not fit into the run"},
		{"device", small + "device: gpu\n", "\"gpu\" is not a device"},
		{"section of another kind", small + "lora: {rank: 8}\n", "x.yaml:6:1: lora is not used by pretrain\n"},
		{"key of another kind", small + "batch: {packing: true}\n", "x.yaml:6:9: batch.packing is not used by pretrain"},
		{"sft without a base", "version: 1\nkind: sft\ndata: {train: a}\n", "sft needs base"},
		{"bad pattern", "version: 1\nbase: b\ndata: {train: a}\nlora: {rank: 8, targets: [\"(q\"]}\n", "neither a name nor a regular expression"},
		{"no target", "version: 1\nbase: b\ndata: {train: a}\nlora: {rank: 8, targets: []}\n", "nothing would be trained"},
		{"reference without stages", strings.Replace(small, "train: a", "train: \"@pack/train\"", 1), "this recipe has none"},
		{"bad name", "version: 1\nname: a/b\n", "is not a name"},
		{"corpus without a source", "version: 1\nkind: corpus\n", "corpus needs data.source"},
		{"corpus without a path", "version: 1\nkind: corpus\ndata: {source: dir}\n", "corpus needs data.path"},
		{"choice without questions", "version: 1\nkind: eval\nbase: m\neval: {tasks: choice}\n", "eval needs eval.choices"},
		{"eval without text", "version: 1\nkind: eval\nbase: m\n", "eval needs data.val"},
		{"special twice", "version: 1\nkind: tokenizer\ndata: {train: a}\ntokenizer: {specials: [a, a]}\n", "listed twice"},
		{"roles", "version: 1\nbase: b\ndata: {train: a, roles: bot}\n", "write {bot: assistant}"},
		{"negative time", "version: 1\njob: {stop_duration: -5m}\n", "wants a length of time such as"},
		{"time without a unit", "version: 1\njob: {stop_duration: 5}\n", "wants a length of time such as"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			assert.Contains(t, refuse(t, c.text).Error(), c.want)
		})
	}
}

func TestErrorTextCannotDriveTheTerminal(t *testing.T) {
	e := refuse(t, "version: 1\nname: \"\x1b[31mred\": x\n")
	assert.NotContains(t, e.Error(), "\x1b")
	e = refuse(t, "version: 1\n\"\x1b]0;title\x07\": x\n")
	assert.NotContains(t, e.Error(), "\x1b")
	assert.NotContains(t, e.Error(), "\x07")
}

func TestCaretCountsCharactersNotBytes(t *testing.T) {
	e := refuse(t, "version: 1\ndata: {train: \"coração\", valu: x}\n")
	assert.Equal(t, 26, e.Column)
	lines := strings.Split(e.Error(), "\n")
	at := strings.Index(string([]rune(lines[1])), "valu")
	assert.Equal(t, "valu", string([]rune(lines[1])[strings.Index(lines[2], "^"):][:4]), "byte offset of the key is %d", at)
}

func TestSuggestions(t *testing.T) {
	words := []string{"learning_rate", "betas", "clip", "warmup", "schedule", "kind"}
	for word, want := range map[string]string{
		"learning_rat": "learning_rate", "learningRate": "learning_rate", "LR": "", "beta": "betas", "clpi": "clip",
		"warm-up": "warmup", "scheduler": "schedule", "x": "", "kidn": "kind", "zzz": "", strings.Repeat("a", 100): "",
	} {
		assert.Equal(t, want, Suggest(word, words), word)
	}
}
