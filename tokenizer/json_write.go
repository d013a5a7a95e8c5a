package tokenizer

import (
	"bufio"
	"fmt"
	"io"

	"forja/tokenizer/split"
)

// WriteJSON writes t as a tokenizer.json that Hugging Face tokenizers load and
// that gives the same ids there. The special tokens are in the vocabulary and
// in added_tokens, with the ids they have. Equal tokenizers give equal bytes.
//
// A BPE with ranks is written with every way to merge, as the published files
// of such tokenizers are; where two ways to make one token overlap, its ids
// may differ from those by ranks, about twice in a million tokens.
//
// It fails if t is not a BPE, or if a special token is spelled like the bytes
// of an ordinary one.
func WriteJSON(w io.Writer, t Tokenizer) error {
	b, ok := unwrap(t).(*BPE)
	if !ok {
		return fmt.Errorf("write tokenizer.json: a %T cannot be written; a BPE can", t)
	}
	for _, s := range b.config.Specials {
		if token, err := readSpelling(s.Content); err == nil && token != s.Content {
			if id, taken := b.ids[token]; taken {
				return fmt.Errorf("write tokenizer.json: special token %q is spelled like token %d", s.Content, id)
			}
		}
	}
	buffered := bufio.NewWriter(w)
	(&jsonWriter{buffered}).write(b)
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write tokenizer.json: %w", err)
	}
	return nil
}

// unwrap returns what WithSpecials was given.
func unwrap(t Tokenizer) Tokenizer {
	for {
		p, ok := t.(*specialParser)
		if !ok {
			return t
		}
		t = p.Tokenizer
	}
}

// jsonWriter writes JSON with the line breaks of Hugging Face's files. Errors
// stay in the buffered writer.
type jsonWriter struct{ *bufio.Writer }

func (w *jsonWriter) printf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

func (w *jsonWriter) write(b *BPE) {
	w.printf("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [")
	for i, s := range b.config.Specials {
		w.separate(i, "    ")
		w.printf("{\n      \"id\": %d,\n      \"content\": ", s.ID)
		w.quote(s.Content)
		w.printf(",\n      \"single_word\": %t,\n      \"lstrip\": %t,\n      \"rstrip\": %t,\n      \"normalized\": %t,\n      \"special\": %t\n    }",
			s.SingleWord, s.LStrip, s.RStrip, s.Normalized, !s.Visible)
	}
	w.close(len(b.config.Specials), "  ]")
	w.printf(",\n  \"normalizer\": ")
	if b.config.NFC {
		w.printf("{\n    \"type\": \"NFC\"\n  }")
	} else {
		w.printf("null")
	}
	w.printf(",\n  \"pre_tokenizer\": ")
	w.preTokenizer(b.config.Split)
	w.printf(",\n  \"post_processor\": null,\n  \"decoder\": ")
	w.byteLevel("  ", true, true)
	w.printf(",\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"+
		"    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"ignore_merges\": %t,\n    \"vocab\": {", b.config.WholeWords)
	written := 0
	for id := range int32(b.VocabSize()) {
		spelled := spellBytes(b.ordinary(id))
		if s, ok := b.special[id]; ok {
			spelled = s.Content
		}
		if spelled == "" {
			continue
		}
		w.separate(written, "      ")
		w.quote(spelled)
		w.printf(": %d", id)
		written++
	}
	w.close(written, "    }")
	w.printf(",\n    \"merges\": [")
	merges := b.Merges()
	for i, merge := range merges {
		w.separate(i, "      ")
		w.quote(spellBytes(b.ordinary(merge[0])) + " " + spellBytes(b.ordinary(merge[1])))
	}
	w.close(len(merges), "    ]")
	w.printf("\n  }\n}\n")
}

func (w *jsonWriter) preTokenizer(pattern *split.Pattern) {
	if pattern == split.GPT2 {
		w.byteLevel("  ", false, true)
		return
	}
	w.printf("{\n    \"type\": \"Sequence\",\n    \"pretokenizers\": [\n      {\n        \"type\": \"Split\",\n        \"pattern\": {\n          \"Regex\": ")
	w.quote(pattern.Regexp())
	w.printf("\n        },\n        \"behavior\": \"Isolated\",\n        \"invert\": false\n      },\n      ")
	w.byteLevel("      ", false, false)
	w.printf("\n    ]\n  }")
}

func (w *jsonWriter) byteLevel(indent string, prefixSpace, useRegexp bool) {
	w.printf("{\n%[1]s  \"type\": \"ByteLevel\",\n%[1]s  \"add_prefix_space\": %[2]t,\n%[1]s  \"trim_offsets\": true,\n%[1]s  \"use_regex\": %[3]t\n%[1]s}",
		indent, prefixSpace, useRegexp)
}

// separate starts item i of a list on its own line.
func (w *jsonWriter) separate(i int, indent string) {
	if i > 0 {
		w.WriteByte(',')
	}
	w.WriteByte('\n')
	w.WriteString(indent)
}

// close ends a list of n items; an empty one stays on its line.
func (w *jsonWriter) close(n int, bracket string) {
	if n > 0 {
		w.printf("\n%s", bracket)
	} else {
		w.WriteByte(bracket[len(bracket)-1])
	}
}

// quote writes a string, escaping no more than JSON requires.
func (w *jsonWriter) quote(s string) {
	w.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteByte(byte(r))
		case r < ' ':
			w.printf("\\u%04x", r)
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
}
