package gen

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
	"forja/engine/model"
	"forja/kernels/cpu"
)

// generator is a tiny random model; bigger weights make its distribution sharper than an untrained one's.
func generator(t *testing.T, size Size) *Generator {
	b, err := cpu.Open(cpu.Options{Threads: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	m, err := model.New(model.Config{Arch: model.LLaMA, Vocab: 61, Context: 48, Layers: 2, Channels: 16, Heads: 4, KVHeads: 2, InitStd: 0.5})
	require.NoError(t, err)
	s := graph.NewSession(b)
	t.Cleanup(s.Close)
	for _, v := range m.Params() {
		require.NoError(t, s.Add(v))
		graph.Set(s, v, m.Init(v, 3))
	}
	g, err := New(s, m, size)
	require.NoError(t, err)
	return g
}

func take(t *testing.T, g *Generator, prompt []int32, s Sampling, n int) (ids []int32, u Usage) {
	u, err := g.Generate(t.Context(), prompt, s, n, func(tok Token) bool {
		ids = append(ids, tok.ID)
		return true
	})
	require.NoError(t, err)
	return ids, u
}

var prompt = []int32{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}

func TestChunksPagesAndCacheDoNotChangeTheText(t *testing.T) {
	s := Sampling{Temperature: 0.9, TopP: 0.95, Seed: 7}
	want, _ := take(t, generator(t, Size{Chunk: 48, Page: 64}), prompt, s, 20)
	require.Len(t, want, 20)
	for _, size := range []Size{{Chunk: 2, Page: 3}, {Chunk: 5, Page: 1}, {Chunk: 11, Page: 16}} {
		g := generator(t, size)
		got, _ := take(t, g, prompt, s, 20)
		assert.Equal(t, want, got)
		again, u := take(t, g, prompt, s, 20)
		assert.Equal(t, want, again)
		assert.Equal(t, len(prompt)-1, u.Cached, "the prompt is in the cache, but for its last token")
		other, u := take(t, g, append(append([]int32{}, prompt[:4]...), 8), s, 3)
		assert.Equal(t, 4, u.Cached)
		fresh, _ := take(t, generator(t, size), append(append([]int32{}, prompt[:4]...), 8), s, 3)
		assert.Equal(t, fresh, other)
	}
}

func TestSeedDecidesTheText(t *testing.T) {
	g := generator(t, Size{})
	a, _ := take(t, g, prompt, Sampling{Temperature: 1, Seed: 1}, 16)
	b, _ := take(t, g, prompt, Sampling{Temperature: 1, Seed: 2}, 16)
	assert.NotEqual(t, a, b)
	c, _ := take(t, g, prompt, Sampling{Temperature: 1, Seed: 1}, 16)
	assert.Equal(t, a, c)
	greedy, _ := take(t, g, prompt, Sampling{Seed: 1}, 16)
	same, _ := take(t, g, prompt, Sampling{Seed: 2}, 16)
	assert.Equal(t, greedy, same)
	one, _ := take(t, g, prompt, Sampling{Temperature: 1, TopK: 1, Seed: 5}, 16)
	assert.Equal(t, greedy, one)
}

func TestRepetitionPenaltySparesExemptIDs(t *testing.T) {
	g := generator(t, Size{})
	plain, _ := take(t, g, prompt, Sampling{}, 1)
	seen := append(append([]int32{}, plain...), prompt...) // the likeliest token after this prompt is in it
	for n := 0; n < 40; n++ {
		next, _ := take(t, g, seen, Sampling{}, 1)
		if slices.Contains(seen, next[0]) {
			harsh := Sampling{Repetition: 1e6}
			punished, _ := take(t, g, seen, harsh, 1)
			assert.NotEqual(t, next, punished)
			harsh.Exempt = next
			spared, _ := take(t, g, seen, harsh, 1)
			assert.Equal(t, next, spared)
			return
		}
		seen = append(seen, next[0])
	}
	t.Fatal("no prompt found whose next token is in it")
}

func TestGenerationEndsAtTheContext(t *testing.T) {
	g := generator(t, Size{Context: 16})
	ids, _ := take(t, g, prompt, Sampling{}, 1000)
	assert.Len(t, ids, 16-len(prompt)+1, "the last token needs no room")
	_, err := g.Generate(t.Context(), make([]int32, 16), Sampling{}, 1, func(Token) bool { return true })
	assert.ErrorContains(t, err, "context is 16")
}

func TestBadRequestsAreRefused(t *testing.T) {
	g := generator(t, Size{})
	for want, try := range map[string]func() error{
		"no tokens":   func() error { _, err := g.Generate(t.Context(), nil, Sampling{}, 1, nil); return err },
		"vocabulary":  func() error { _, err := g.Generate(t.Context(), []int32{61}, Sampling{}, 1, nil); return err },
		"temperature": func() error { return Sampling{Temperature: -1}.Validate() },
		"top_p":       func() error { return Sampling{TopP: 1.5}.Validate() },
	} {
		assert.ErrorContains(t, try(), want)
	}
}

func TestACancelledContextStopsGeneration(t *testing.T) {
	g := generator(t, Size{})
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	n := 0
	_, err := g.Generate(ctx, prompt, Sampling{}, 30, func(Token) bool {
		if n++; n == 3 {
			cancel(why)
		}
		return true
	})
	assert.ErrorIs(t, err, why)
	assert.Equal(t, 3, n)
}

func TestGeneratorStorageIsReturned(t *testing.T) {
	g := generator(t, Size{})
	b := g.s.Backend()
	h, err := New(g.s, g.m, Size{Chunk: 128})
	require.NoError(t, err)
	h.Close()
	before := b.Usage().Now
	for range 3 {
		h, err := New(g.s, g.m, Size{Chunk: 128})
		require.NoError(t, err)
		assert.Greater(t, b.Usage().Now, before)
		h.Close()
		assert.Equal(t, before, b.Usage().Now)
	}
}
