package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/gen"
)

// A sampleFlags is how the verbs that generate choose tokens.
type sampleFlags struct {
	s       gen.Sampling
	tokens  int
	stop    []string
	device  string
	adapter string
	context int
}

func (f *sampleFlags) add(c *cobra.Command, tokens int, temperature float64) {
	fs := c.Flags()
	fs.IntVar(&f.tokens, "sample.tokens", tokens, "most tokens of an answer")
	fs.Float64Var(&f.s.Temperature, "sample.temperature", temperature, "0 always takes the likeliest token")
	fs.IntVar(&f.s.TopK, "sample.top_k", 0, "choose among the k likeliest; 0 is off")
	fs.Float64Var(&f.s.TopP, "sample.top_p", 1, "choose among the likeliest that hold this probability")
	fs.Float64Var(&f.s.MinP, "sample.min_p", 0, "leave out what is less likely than this share of the likeliest")
	fs.Float64Var(&f.s.Repetition, "sample.repetition_penalty", 1, "divides the logits of tokens already seen; 1 is off")
	fs.StringArrayVar(&f.stop, "sample.stop", nil, "text that ends an answer; may be repeated")
	fs.Uint64Var(&f.s.Seed, "seed", 1337, "seed of sampling")
	fs.StringVar(&f.device, "device", "auto", deviceHelp)
	fs.StringVar(&f.adapter, "adapter", "", "directory of a PEFT adapter to apply")
	fs.IntVar(&f.context, "batch.context", 0, "longest sequence; 0 is the model's")
}

func (a *app) generateCmd() *cobra.Command {
	var f sampleFlags
	c := &cobra.Command{Use: "generate MODEL [PROMPT]", Short: "complete a prompt (- or none reads it from standard input)",
		Example: "  forja generate runs/tiny 'func main() {'\n  forja generate runs/tiny --sample.temperature 0 < prompt.txt", Args: cobra.RangeArgs(1, 2)}
	f.add(c, 128, 0.8)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.s.Validate(); err != nil {
			return usageError{err}
		}
		prompt := "-"
		if len(args) == 2 {
			prompt = args[1]
		}
		if prompt == "-" {
			b, err := io.ReadAll(io.LimitReader(a.stdin, 16<<20))
			if err != nil {
				return err
			}
			prompt = strings.TrimSuffix(string(b), "\n")
		}
		return a.withModel(c.Context(), f.device, args[0], f.adapter, f.context, func(l *loaded, g *gen.Generator) error {
			ids := l.encoder.Encode(prompt)
			if len(ids) == 0 && l.encoder.end >= 0 {
				ids = []int32{l.encoder.end} // as a document begins in training
			}
			each := func(s string) { fmt.Fprint(a.stdout, s) }
			if a.json {
				each = nil
			} else {
				fmt.Fprint(a.stdout, prompt)
			}
			text, u, err := complete(c.Context(), g, l.encoder, ids, f.s, f.tokens, f.stop, each)
			if err != nil {
				return err
			}
			if a.json {
				return a.print(map[string]any{"prompt": prompt, "text": text, "prompt_tokens": u.Prompt, "tokens": u.Tokens,
					"first_ms": float64(u.First.Microseconds()) / 1e3, "tok_s": u.Rate()}, nil)
			}
			fmt.Fprintln(a.stdout)
			a.talk.printf("%s", a.talk.dim(usageLine(u)))
			return nil
		})
	}
	return c
}

func usageLine(u gen.Usage) string {
	return fmt.Sprintf("%d tokens · first %d ms · %.0f tok/s", u.Tokens, u.First.Milliseconds(), u.Rate())
}
