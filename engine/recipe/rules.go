package recipe

import (
	"fmt"
	"regexp"
	"slices"
)

// languageCode is ISO 639, without a country.
var languageCode = regexp.MustCompile(`^[a-z]{2,3}$`)

func filterRules(s *Stage) error {
	for _, code := range s.Filter.Languages {
		if !languageCode.MatchString(code) {
			return s.Errorf("filter.languages", "%q is no code of a language: want two or three small letters, such as en or pt", code)
		}
	}
	return nil
}

func dedupRules(s *Stage) error {
	if d := s.Dedup; d.Bands*d.Rows > 4096 {
		return s.Errorf("dedup.bands", "%d bands of %d rows are %d hash functions: there are at most 4096", d.Bands, d.Rows, d.Bands*d.Rows)
	}
	return nil
}

func corpusRules(s *Stage) error {
	if s.Data.Source == "" {
		return s.missing("data.source")
	}
	if s.Data.Source != "goroot" && s.Data.Path == "" {
		return s.missing("data.path")
	}
	return nil
}

func tokenizerRules(s *Stage) error {
	if s.Data.Train == "" && s.Data.Source == "" {
		return s.missing("data.train", "data.source")
	}
	seen := map[string]bool{}
	for _, special := range s.Tokenizer.Specials {
		if special == "" || seen[special] {
			return s.Errorf("tokenizer.specials", "%s is empty or listed twice", quoted(special))
		}
		seen[special] = true
	}
	return nil
}

func pretrainRules(s *Stage) error {
	if s.Data.Train == "" && s.Data.Source == "" {
		return s.missing("data.train", "data.source")
	}
	if s.Tokenizer.Path == "" && !s.IsSet("tokenizer.vocab") && s.Base == "" {
		return s.missing("tokenizer.path", "tokenizer.vocab")
	}
	return nil
}

// modelRules checks that the sizes fit together, as far as they are given here.
func modelRules(s *Stage) error {
	m := &s.Model
	if err := s.exclusive("model.preset", "model.depth"); err != nil {
		return err
	}
	if m.Preset == "" && m.Depth == 0 && s.Base == "" {
		if m.Layers == 0 || m.Channels == 0 {
			return s.missing("model.preset", "model.depth", "model.layers and model.channels")
		}
		if m.Arch == "" {
			m.Arch = "llama"
		}
	}
	if m.Heads > 0 && m.Channels > 0 && m.Channels%m.Heads != 0 {
		e := s.Errorf("model.heads", "%d channels cannot be split into %d heads", m.Channels, m.Heads)
		below, above := m.Channels/(2*m.Heads)*2*m.Heads, (m.Channels/(2*m.Heads)+1)*2*m.Heads
		channels := fmt.Sprint(above)
		if below > 0 {
			channels = fmt.Sprintf("%d or %d", below, above)
		}
		return e.advise(fmt.Sprintf("use %s, or set model.channels to %s", divisorsNear(m.Channels, m.Heads), channels))
	}
	if m.Heads > 0 && m.KVHeads > 0 && m.Heads%m.KVHeads != 0 {
		return s.Errorf("model.kv_heads", "%d heads cannot share %d key-value heads evenly", m.Heads, m.KVHeads).advise(
			"use " + divisorsNear(m.Heads, m.KVHeads))
	}
	rotary := m.Arch == "llama" || m.Arch == "qwen2"
	if rotary && m.Heads > 0 && m.Channels > 0 && m.Channels/m.Heads%2 != 0 {
		return s.Errorf("model.heads", "heads of %d channels cannot be rotated: rotary positions pair them up", m.Channels/m.Heads).advise(
			"choose channels and heads whose quotient is even")
	}
	if m.Arch == "gpt2" && m.KVHeads > 0 && m.Heads > 0 && m.KVHeads != m.Heads {
		return s.Errorf("model.kv_heads", "gpt2 has as many key-value heads as heads").advise("remove the key, or use arch llama")
	}
	return nil
}

// divisorsNear names the divisors of n around wanted: "8 or 12".
func divisorsNear(n, wanted int) string {
	below, above := 0, 0
	for d := 1; d <= n; d++ {
		if n%d != 0 {
			continue
		}
		if d < wanted {
			below = d
		} else if above == 0 {
			above = d
		}
	}
	switch {
	case below == 0:
		return fmt.Sprint(above)
	case above == 0:
		return fmt.Sprint(below)
	}
	return fmt.Sprintf("%d or %d", below, above)
}

// lengthRules decides how long a run is.
func lengthRules(s *Stage) error {
	if err := s.exclusive("train.steps", "train.epochs", "train.tokens"); err != nil {
		return err
	}
	t := &s.Train
	if t.Steps == 0 && t.Epochs == 0 && t.Tokens == 0 {
		switch {
		case s.Kind == "sft":
			t.Epochs = 1
		case s.Model.Depth == 0:
			return s.missing("train.steps", "train.epochs", "train.tokens")
		}
	}
	return nil
}

// batchRules checks that an update divides into rows and a row fits the model.
func batchRules(s *Stage) error {
	if err := s.exclusive("batch.tokens", "batch.rows"); err != nil {
		return err
	}
	b := s.Batch
	if s.Model.Context > 0 && b.Context > s.Model.Context {
		return s.Errorf("batch.context", "rows of %d tokens are longer than the model's context of %d", b.Context, s.Model.Context)
	}
	context := b.Context
	if context == 0 {
		context = s.Model.Context
	}
	rows := b.Rows
	if b.Tokens > 0 && context > 0 {
		if b.Tokens%context != 0 {
			below := b.Tokens / context * context
			e := s.Errorf("batch.tokens", "%d tokens are not a whole number of rows of %d", b.Tokens, context)
			if below == 0 {
				return e.advise(fmt.Sprintf("use %d or a multiple", context))
			}
			return e.advise(fmt.Sprintf("use %d or %d", below, below+context))
		}
		rows = b.Tokens / context
	}
	if b.Micro > 0 && rows > 0 && rows%b.Micro != 0 {
		return s.Errorf("batch.micro", "%d rows of an update cannot be split into micro-batches of %d", rows, b.Micro).advise(
			"use " + divisorsNear(rows, b.Micro))
	}
	return nil
}

// scheduleRules checks that the phases of the learning rate fit into the run.
func scheduleRules(s *Stage) error {
	o := s.Optim
	steps := s.Train.Steps
	rising, falling := o.Warmup, Steps{}
	if o.Schedule == "wsd" {
		falling = o.Cooldown
	}
	if steps > 0 && rising.Of(steps)+falling.Of(steps) > steps || steps == 0 && rising.Share+falling.Share > 1 {
		key, what := "optim.warmup", "a warmup of "+rising.String()+" does"
		if falling != (Steps{}) {
			what = "a warmup of " + rising.String() + " and a cooldown of " + falling.String() + " do"
		}
		if !s.IsSet(key) && s.IsSet("optim.cooldown") {
			key = "optim.cooldown"
		}
		e := s.Errorf(key, "%s not fit into the run", what)
		if steps > 0 {
			e.Advice = append(e.Advice, fmt.Sprintf("train.steps is %d", steps))
		}
		return e
	}
	return nil
}

// loraRules checks the target patterns.
func loraRules(s *Stage) error {
	for _, target := range s.LoRA.Targets {
		if _, err := regexp.Compile(target); err != nil || target == "" {
			return s.Errorf("lora.targets", "%s is neither a name nor a regular expression", quoted(target)).advise(
				"write all-linear, names such as q_proj, or an expression such as .*_proj")
		}
	}
	if s.LoRA.Rank > 0 && len(s.LoRA.Targets) == 0 {
		return s.Errorf("lora.targets", "the list is empty, so nothing would be trained").advise("write all-linear")
	}
	return nil
}

func evalRules(s *Stage) error {
	if len(s.Eval.Tasks) == 0 {
		return s.missing("eval.tasks")
	}
	for _, task := range s.Eval.Tasks {
		if task == "choice" && s.Eval.Choices == "" {
			return s.missing("eval.choices")
		}
	}
	if s.Data.Val == "" && (slices.Contains(s.Eval.Tasks, "ppl") || slices.Contains(s.Eval.Tasks, "bpb")) {
		return s.missing("data.val")
	}
	return nil
}
