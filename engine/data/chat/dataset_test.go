package chat

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/data"
)

func readAll(input string, o ReadOptions) (examples []Example, err error) {
	for e, err := range Read(strings.NewReader(input), "in", o) {
		if err != nil {
			return examples, err
		}
		examples = append(examples, e)
	}
	return examples, nil
}

func TestEveryFormatIsRecognised(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want Example
	}{
		"messages":       {`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`, Example{Messages: []Message{{User, "q"}, {Assistant, "ab"}}}},
		"sharegpt":       {`{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"},{"from":"narrator","value":"n"}],"system":"s"}`, Example{Messages: []Message{{System, "s"}, {User, "q"}, {Assistant, "a"}, {"narrator", "n"}}}},
		"alpaca":         {`{"instruction":"i","input":"x","output":"o","system":"s","history":[["q","a"]]}`, Example{Messages: []Message{{System, "s"}, {User, "q"}, {Assistant, "a"}, {User, "i\n\nx"}, {Assistant, "o"}}}},
		"alpaca short":   {`{"instruction":"i","input":"","output":"o"}`, Example{Messages: []Message{{User, "i"}, {Assistant, "o"}}}},
		"completion":     {`{"prompt":"p","completion":"c"}`, Example{Prompt: "p", Completion: "c"}},
		"chat and reply": {`{"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}`, Example{Messages: []Message{{User, "q"}, {Assistant, "a"}}}},
		"text":           {`{"text":"t"}`, Example{Completion: "t"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll("\n"+c.line+"\n", ReadOptions{})
			require.NoError(t, err)
			c.want.Place = "in:2"
			require.Equal(t, []Example{c.want}, got)

			got, err = readAll(" [\n"+c.line+", "+c.line+"]", ReadOptions{})
			require.NoError(t, err)
			require.Len(t, got, 2)
			require.Equal(t, "in: example 2", got[1].Place)
			require.Equal(t, c.want.Messages, got[1].Messages)
		})
	}
}

func TestReadSaysWhatIsWrongAndWhere(t *testing.T) {
	good := `{"text":"t"}` + "\n"
	for input, want := range map[string]string{
		"":         "no documents",
		good + "{": "in:2: not JSON",
		good + "5": "in:2: not a JSON object",
		good + `{"instruction":"i","output":"o"}`:                              "in:2: this is the format alpaca, but in:1 is text",
		`{"question":"q","answer":"a"}`:                                        "in:1: no known format has the keys answer, question",
		`{"prompt":"p","chosen":"c","rejected":"r"}`:                           "preference data",
		`{"messages":[]}`:                                                      `in:1: "messages" is empty`,
		`{"messages":[{"content":"x"}]}`:                                       "messages[0] has no role",
		`{"messages":[{"role":"user","content":5}]}`:                           "messages[0].content must be text",
		`{"messages":[{"role":"user","content":[{"type":"image"}]}]}`:          `a part of type "image"`,
		`{"messages":[{"role":"assistant","content":null,"tool_calls":[{}]}]}`: "messages[0] calls a tool",
		`{"messages":"x"}`:                                                     `"messages" must be a list`,
		`{"instruction":"i","output":"o","history":5}`:                         "pairs of question and answer",
		`{"text":""}`:                                    "the text is empty",
		`{"prompt":"p","completion":""}`:                 "the completion is empty",
		"{\"text\":\"\xff\"}":                            "in:1: not UTF-8",
		"[{\"text\":\"\xff\"}]":                          "in: example 1: not UTF-8",
		`[{"text":"t"},`:                                 "example 2: not JSON",
		`[{"text":"t"}`:                                  "the list does not end",
		`{"text":"` + strings.Repeat("a", 9999) + `"}`:   "line longer than 5000",
		`[{"text":"` + strings.Repeat("a", 9999) + `"}]`: "more than 5000 bytes",
	} {
		_, err := readAll(input, ReadOptions{MaxBytes: 5000})
		require.ErrorContains(t, err, want, "%.60s", input)
	}
	_, err := readAll(`{"text":"t"}`, ReadOptions{Format: FormatAlpaca})
	require.NoError(t, err, "a format that was asked for is not second-guessed")
}

func TestReadFileUnpacks(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, `{"text":"t"}`)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "set")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
	for e, err := range ReadFile(path, ReadOptions{}) {
		require.NoError(t, err)
		require.Equal(t, "t", e.Completion)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"messages":[{"role":"user","content":"q"}]}`)
	f.Add(`[{"instruction":"i","output":"o","history":[["a","b"]]}]`)
	f.Add(`{"conversations":[{"from":"human","value":null}]}`)
	f.Add(`{"prompt":[],"completion":[]}` + "\n{\"text\":")
	f.Fuzz(func(t *testing.T, input string) {
		examples, err := readAll(input, ReadOptions{MaxBytes: 4096})
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "in:"), "%v", err)
		}
		for _, e := range examples {
			require.True(t, len(e.Messages) > 0 || e.Completion != "")
		}
	})
}

func TestPackingFindsTheBestFit(t *testing.T) {
	require.Equal(t, [][]int{{1}, {0, 2}}, PackBFD([]int{3, 4, 1}, 4))
	require.Equal(t, [][]int{{0}, {2}, {1, 3}}, PackBFD([]int{5, 2, 4, 1}, 4))
	require.Empty(t, PackBFD(nil, 4))
	rapid.Check(t, func(rt *rapid.T) {
		capacity := rapid.IntRange(1, 200).Draw(rt, "capacity")
		lengths := rapid.SliceOf(rapid.IntRange(1, capacity)).Draw(rt, "lengths")
		var room []int
		seen := make([]bool, len(lengths))
		rows := PackBFD(lengths, capacity)
		total := 0
		for _, row := range rows {
			used := 0
			for _, i := range row {
				require.False(rt, seen[i])
				seen[i] = true
				used += lengths[i]
			}
			require.LessOrEqual(rt, used, capacity)
			room = append(room, capacity-used)
			total += used
		}
		for i := range seen {
			require.True(rt, seen[i])
		}
		// No two rows would fit into one: the later would not have been opened.
		for i := range room {
			for j := range i {
				require.Greater(rt, 2*capacity-room[i]-room[j], capacity)
			}
		}
	})
}

// set loads a data set of lines.
func set(t testing.TB, o DatasetOptions, source string, lines ...string) (*Dataset, error) {
	return Load(Read(strings.NewReader(strings.Join(lines, "\n")), "in", ReadOptions{}), "in", codec(t, source), o)
}

func pair(question, answer string) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":%q},{"role":"assistant","content":%q}]}`, question, answer)
}

func TestLoadCountsWhatBecameOfTheExamples(t *testing.T) {
	d, err := set(t, DatasetOptions{Length: 30}, ChatML, pair("q", "a"), pair("q", strings.Repeat("b", 99)), pair(strings.Repeat("q", 99), "c"), pair("w", "d"))
	require.NoError(t, err)
	require.Equal(t, 4, d.Examples)
	require.Equal(t, 3, d.Samples)
	require.Equal(t, 1, d.Truncated)
	require.Equal(t, 1, d.Dropped)
	require.True(t, d.EOSTrained())
	require.Equal(t, special["<|im_end|>"], d.Stop)
	require.InDelta(t, 0.35, d.TrainableShare(), 0.1)
	require.Greater(t, d.Stats.Fill(30), 0.7)

	d, err = set(t, DatasetOptions{Length: 30}, "{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}{{ 'assistant' if add_generation_prompt }}", pair("q", "aa"))
	require.NoError(t, err)
	require.False(t, d.EOSTrained())

	d, err = set(t, DatasetOptions{Length: 99}, forgetful, `{"messages":[{"role":"user","content":"q1"},{"role":"assistant","content":"r</think>a"},{"role":"user","content":"q2"},{"role":"assistant","content":"b"}]}`)
	require.NoError(t, err)
	require.Equal(t, 1, d.Split)
	require.Equal(t, 2, d.Samples)
}

func TestASetWithNothingToLearnIsRefusedWithTheReason(t *testing.T) {
	o := DatasetOptions{Length: 30}
	_, err := set(t, o, ChatML, `{"messages":[{"role":"user","content":"q"},{"role":"bot","content":"a"}]}`)
	require.ErrorIs(t, err, ErrNothingTrainable)
	require.EqualError(t, err, `in: no trainable token in any of 1 examples: in in:1 the role is "bot", and what is trained is "assistant"; map it with the roles setting: bot=assistant`)
	_, err = set(t, o, ChatML, `{"messages":[{"role":"user","content":"q"}]}`)
	require.ErrorContains(t, err, "has no answer, only the roles user")
	_, err = set(t, o, ChatML, pair(strings.Repeat("q", 99), "a"))
	require.ErrorContains(t, err, "use longer rows")
	_, err = set(t, o, Plain, `{"messages":[{"role":"bot","content":"q"}]}`)
	require.ErrorContains(t, err, "in:1: chat template: the template refuses these messages")

	mapped, err := Load(Read(strings.NewReader(`{"messages":[{"role":"user","content":"q"},{"role":"bot","content":"a"}]}`), "in", ReadOptions{Roles: map[string]string{"bot": Assistant}}), "in", codec(t, ChatML), o)
	require.NoError(t, err)
	require.Equal(t, 1, mapped.Samples)
}

func TestRowsKeepConversationsApartAndTrainEachTargetOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var lines []string
		want := map[string]int{}
		for i := range rapid.IntRange(1, 20).Draw(rt, "examples") {
			answer := strings.Repeat(string(rune('a'+i)), rapid.IntRange(0, 9).Draw(rt, "length"))
			lines = append(lines, pair("q", answer))
			want[answer+"[im_end]"]++
		}
		d, err := set(t, DatasetOptions{Length: 40}, ChatML, lines...)
		require.NoError(rt, err)
		l := d.Loader(rapid.Uint64().Draw(rt, "seed"))
		epoch := rapid.Uint64Range(0, 3).Draw(rt, "epoch")
		b := data.NewBatch(1, 40)
		got := map[string]int{}
		count, size := 0, 0.0
		for n := range l.Samples() {
			require.NoError(rt, l.Fill(b, epoch*l.Samples()+n))
			count, size = count+b.Count, size+b.Bytes
			run := ""
			for t := range 40 {
				require.Equal(rt, int32(t)-b.Lo[t], b.Positions[t])
				require.Equal(rt, b.Targets[t] != data.NoTarget, b.Mask[t] == 1)
				if b.Targets[t] != data.NoTarget {
					run += decode(b.Targets[t : t+1])
				}
				if run != "" && (t == 39 || b.Targets[t+1] == data.NoTarget || b.Lo[t+1] != b.Lo[t]) {
					got[run]++
					run = ""
				}
			}
		}
		require.Equal(rt, want, got)
		require.Equal(rt, int(d.Trainable), count)
		total := 0
		for answer, n := range want {
			total += n * (len(answer) - len("[im_end]"))
		}
		require.InDelta(rt, total, size, 1e-6)
	})
}

func TestRowsDoNotDependOnTheBatch(t *testing.T) {
	var lines []string
	for i := range 50 {
		lines = append(lines, pair(fmt.Sprint(i), strings.Repeat("x", i%17)))
	}
	d, err := set(t, DatasetOptions{Length: 24}, ChatML, lines...)
	require.NoError(t, err)
	l := d.Loader(9)
	big, small := data.NewBatch(6, 24), data.NewBatch(2, 24)
	require.NoError(t, l.Fill(big, 31))
	require.NoError(t, l.Fill(small, 35))
	require.Equal(t, big.Tokens[4*24:], small.Tokens)
	require.Equal(t, big.Lo[4*24:], small.Lo)

	count := 0
	val := d.Sequential()
	for first := uint64(0); ; first += 2 {
		if err := val.Fill(small, first); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		count += small.Count
	}
	require.Equal(t, int(d.Trainable), count)
	require.ErrorContains(t, l.Fill(data.NewBatch(1, 8), 0), "does not fit")
}

func BenchmarkEncode(b *testing.B) {
	c := codec(b, ChatML)
	for b.Loop() {
		if _, err := c.Encode(twoTurns, TrainAssistant); err != nil {
			b.Fatal(err)
		}
	}
}
