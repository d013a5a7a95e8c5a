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
	var tokens []string
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
		token, err := base64.StdEncoding.AppendDecode(nil, encoded)
		if err != nil || len(token) == 0 {
			return nil, fmt.Errorf("line %d: the token is not base64", line)
		}
		rank, err := strconv.ParseUint(string(number), 10, 32)
		if err != nil || rank >= MaxVocab {
			return nil, fmt.Errorf("line %d: rank %q is not a number below %d", line, number, MaxVocab)
		}
		for int(rank) >= len(tokens) {
			tokens = append(tokens, "")
		}
		if tokens[rank] != "" {
			return nil, fmt.Errorf("line %d: rank %d is already that of %q", line, rank, tokens[rank])
		}
		tokens[rank] = string(token)
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
