package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"

	"forja/tokenizer/split"
)

// maxFile bounds the files that readers accept; the largest real ones are
// below 40 MB.
const maxFile = 256 << 20

// LoadTiktoken reads a .tiktoken file: one line for each token, its bytes in
// base64, a blank, its rank, which is also its id. The file says nothing of
// the split nor of special tokens; the ids of the latter usually follow the
// ranks. Errors name the line.
func LoadTiktoken(r io.Reader, pattern *split.Pattern, specials ...Special) (*BPE, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("read .tiktoken: %w", err)
	}
	tokens, err := parseTiktoken(data)
	if err != nil {
		return nil, fmt.Errorf("read .tiktoken: %w", err)
	}
	b, err := NewBPE(BPEConfig{Tokens: tokens, Ranked: true, Split: pattern, Specials: specials})
	if err != nil {
		return nil, fmt.Errorf("read .tiktoken: %w", err)
	}
	return b, nil
}

func parseTiktoken(data []byte) ([]string, error) {
	// All tokens share one string: a vocabulary is a hundred thousand of them.
	blob := make([]byte, 0, len(data))
	var places []Span // in blob, by rank
	line := 0
	for len(data) > 0 {
		var row []byte
		line++
		row, data, _ = bytes.Cut(data, []byte("\n"))
		row = bytes.TrimSuffix(row, []byte("\r"))
		if len(row) == 0 {
			continue
		}
		encoded, number, ok := bytes.Cut(row, []byte(" "))
		if !ok {
			return nil, fmt.Errorf("line %d: no blank between token and rank", line)
		}
		start := len(blob)
		var err error
		if blob, err = base64.StdEncoding.AppendDecode(blob, encoded); err != nil || len(blob) == start {
			return nil, fmt.Errorf("line %d: the token is not base64", line)
		}
		rank, err := strconv.ParseUint(string(number), 10, 32)
		if err != nil || rank >= MaxVocab {
			return nil, fmt.Errorf("line %d: rank %q is not a number below %d", line, number, MaxVocab)
		}
		for int(rank) >= len(places) {
			places = append(places, Span{})
		}
		if p := places[rank]; p.Start < p.End {
			return nil, fmt.Errorf("line %d: rank %d is already that of %q", line, rank, blob[p.Start:p.End])
		}
		places[rank] = Span{Start: start, End: len(blob)}
	}
	all := string(blob)
	tokens := make([]string, len(places))
	for rank, p := range places {
		tokens[rank] = all[p.Start:p.End]
	}
	return tokens, nil
}

// readBounded reads all of r, up to maxFile bytes.
func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("the file is longer than %d MiB, the limit", maxFile>>20)
	}
	return data, nil
}

// writeRanks writes the ordinary tokens by id.
func (b *BPE) writeRanks(w io.Writer) error {
	out := bufio.NewWriter(w)
	for id, token := range b.config.Tokens {
		if token != "" {
			fmt.Fprintln(out, base64.StdEncoding.EncodeToString([]byte(token)), id)
		}
	}
	return out.Flush()
}
