package ngram

import (
	"context"
	"fmt"
	"slices"

	"forja/engine/data"
	"forja/engine/eval"
)

// A symbol is a token, or what stands before a document's first one, with marks.
type symbol uint32

const (
	first   symbol = 1 << 31 // nothing before it is known
	counted symbol = 1 << 30 // it is a target
	id      symbol = counted - 1

	maxVocab   = 1 << 25
	maxSymbols = 1 << 31
)

// A corpus is text as a single run of symbols.
type corpus struct {
	vocab   int // also the id of the beginning of a document
	symbols []symbol
	targets int
}

// read appends the rows of one epoch of a source, until most targets have come (0: all).
func (c *corpus) read(ctx context.Context, src data.Source, most int) error {
	rows, row := eval.NewRows(src, most), data.NewBatch(1, src.Length())
	expected := src.Samples() * uint64(src.Length()+1)
	if most > 0 {
		expected = min(expected, uint64(most)+uint64(most)/16)
	}
	c.symbols = slices.Grow(c.symbols, int(min(expected, maxSymbols)))
	for rows.More() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := rows.Next(row); err != nil {
			return err
		}
		for t := range row.Tokens {
			if err := c.check(row.Tokens[t]); err != nil {
				return err
			}
		}
		if err := c.add(row); err != nil {
			return err
		}
	}
	c.targets += rows.Tokens
	return nil
}

func (c *corpus) check(token int32) error {
	if token < 0 || int(token) >= c.vocab {
		return fmt.Errorf("the text has token %d and the vocabulary is %d: another tokenizer made it", token, c.vocab)
	}
	return nil
}

// add appends a row. What is alone, without a target, is padding.
func (c *corpus) add(row *data.Batch) error {
	if len(c.symbols)+2*row.Length+1 > maxSymbols {
		return fmt.Errorf("an n-gram model counts at most %d tokens", maxSymbols)
	}
	begins := func(t int) bool { return t == row.Length || int(row.Lo[t]) == t }
	for t, token := range row.Tokens {
		s := symbol(token)
		switch target := row.Targets[max(t-1, 0)]; {
		case begins(t) && begins(t+1) && row.Mask[t] == 0:
			continue
		case begins(t) && t > 0:
			c.symbols = append(c.symbols, symbol(c.vocab)|first)
		case begins(t):
			s |= first
		case row.Mask[t-1] != 0 && target == token:
			s |= counted
		}
		c.symbols = append(c.symbols, s)
		if begins(t+1) && row.Mask[t] != 0 {
			if err := c.check(row.Targets[t]); err != nil {
				return err
			}
			c.symbols = append(c.symbols, symbol(row.Targets[t])|counted)
		}
	}
	return nil
}
