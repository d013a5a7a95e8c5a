package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/data/chat"
	"forja/engine/gen"
)

const chatHelp = `  /system TEXT       set the system message and begin anew
  /set KEY VALUE     temperature, top_k, top_p, min_p, repetition_penalty, tokens, seed
  /show              show the settings
  /retry             answer the last question again
  /clear             begin anew
  /bye               leave
`

func (a *app) chatCmd() *cobra.Command {
	var f sampleFlags
	var system, ask string
	c := &cobra.Command{Use: "chat MODEL", Short: "talk to a model", Args: cobra.ExactArgs(1),
		Example: "  forja chat runs/speedrun/sft\n  forja chat runs/speedrun/sft --ask 'What does strings.Cut do?'"}
	f.add(c, 256, 0.7)
	c.Flags().StringVar(&system, "system", "", "system message")
	c.Flags().StringVar(&ask, "ask", "", "ask one question, print the answer, and leave")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.s.Validate(); err != nil {
			return usageError{err}
		}
		return a.withModel(c.Context(), f.device, args[0], f.adapter, f.context, func(l *loaded, g *gen.Generator) error {
			codec, err := l.encoder.codec()
			if err != nil {
				return err
			}
			t := &conversation{app: a, flags: &f, l: l, g: g, codec: codec}
			t.begin(system)
			if ask != "" {
				return t.answer(c.Context(), ask)
			}
			return t.loop(c.Context())
		})
	}
	return c
}

// A conversation is a chat in a terminal, or in a pipe.
type conversation struct {
	app      *app
	flags    *sampleFlags
	l        *loaded
	g        *gen.Generator
	codec    *chat.Codec
	system   string
	messages []chat.Message
}

func (t *conversation) begin(system string) {
	t.system, t.messages = system, nil
	if system != "" {
		t.messages = append(t.messages, chat.Message{Role: chat.System, Content: system})
	}
}

func (t *conversation) loop(ctx context.Context) error {
	c := t.l.model.Config
	t.app.talk.printf("%s · %s %dL %dC · /help", t.l.dir, c.Arch, c.Layers, c.Channels)
	in := bufio.NewScanner(t.app.stdin)
	in.Buffer(nil, 1<<20)
	for {
		t.app.talk.prompt(">>> ")
		if !in.Scan() {
			return in.Err()
		}
		line := strings.TrimSpace(in.Text())
		switch {
		case line == "":
		case line == "/bye":
			return nil
		case strings.HasPrefix(line, "/"):
			if err := t.command(ctx, line); err != nil {
				if ctx.Err() != nil {
					return err
				}
				t.app.talk.printf("! %v", err)
			}
		default:
			if err := t.answer(ctx, line); err != nil {
				if ctx.Err() != nil {
					return err
				}
				t.app.talk.printf("! %v", err)
			}
		}
	}
}

// command obeys a line that begins with a slash.
func (t *conversation) command(ctx context.Context, line string) error {
	words := strings.Fields(line)
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "/help":
		t.app.talk.printf("%s", strings.TrimSuffix(chatHelp, "\n"))
	case "/system":
		t.begin(rest)
	case "/clear":
		t.begin(t.system)
	case "/show":
		s := t.flags.s
		t.app.talk.printf("temperature %g · top_k %d · top_p %g · min_p %g · repetition_penalty %g · tokens %d · seed %d", s.Temperature, s.TopK,
			s.TopP, s.MinP, s.Repetition, t.flags.tokens, s.Seed)
	case "/set":
		if len(words) != 3 {
			return errors.New("usage: /set KEY VALUE")
		}
		return t.set(words[1], words[2])
	case "/retry":
		for i := len(t.messages) - 1; i >= 0; i-- {
			if t.messages[i].Role == chat.User {
				question := t.messages[i].Content
				t.messages = t.messages[:i]
				t.flags.s.Seed++
				return t.answer(ctx, question)
			}
		}
		return errors.New("there is no question to answer again")
	default:
		return fmt.Errorf("unknown command %s; /help lists them", words[0])
	}
	return nil
}

func (t *conversation) set(key, value string) error {
	x, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", value)
	}
	s := t.flags.s
	switch key {
	case "temperature":
		s.Temperature = x
	case "top_k":
		s.TopK = int(x)
	case "top_p":
		s.TopP = x
	case "min_p":
		s.MinP = x
	case "repetition_penalty":
		s.Repetition = x
	case "seed":
		s.Seed = uint64(x)
	case "tokens":
		t.flags.tokens = max(1, int(x))
	default:
		return fmt.Errorf("there is no setting %q; /help lists them", key)
	}
	if err := s.Validate(); err != nil {
		return err
	}
	t.flags.s = s
	return nil
}

// answer asks the model and prints what it says as it comes.
func (t *conversation) answer(ctx context.Context, question string) error {
	messages := append(t.messages, chat.Message{Role: chat.User, Content: question})
	ids, err := t.codec.Prompt(messages)
	for err == nil && len(ids) >= t.g.Context()-1 && len(messages) > 2 { // forget the oldest turns
		at := 0
		if messages[0].Role == chat.System {
			at = 1
		}
		messages = append(messages[:at:at], messages[at+2:]...)
		ids, err = t.codec.Prompt(messages)
	}
	if err != nil {
		return err
	}
	text, u, err := complete(ctx, t.g, t.l.encoder, ids, t.flags.s, t.flags.tokens, t.flags.stop, func(s string) { fmt.Fprint(t.app.stdout, s) })
	fmt.Fprintln(t.app.stdout)
	if err != nil {
		return err
	}
	t.messages = append(messages, chat.Message{Role: chat.Assistant, Content: text})
	t.app.talk.printf("%s", t.app.talk.dim("    "+usageLine(u)))
	return nil
}

// prompt asks for input where a person is typing.
func (t *talk) prompt(s string) {
	if t.tty {
		t.clear()
		_, _ = io.WriteString(t.w, s)
	}
}
