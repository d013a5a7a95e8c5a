package bench

import "forja/kernels"

// sizes are what to measure on a device: as much as it needs to show what it can, and no more than it can afford.
type sizes struct {
	tokens  int      // rows of products and norms
	linears [][2]int // N and K of the products

	batch, heads, depth int   // of attention
	lengths             []int // its tokens

	channels, wide int // of norms and activations

	headTokens, vocab int   // of the language-model head
	headRows          []int // whose logits exist at a time

	parameters int // of the optimizers
	side       int // of the matrix that is copied

	prompt, generated int  // tokens of decoding
	tiny              bool // the preset's kind of model, not its size
}

// gpt2 are N and K of GPT-2 124M: the fused q, k and v, attention's output, the two of the feed-forward network, and the
// head with its vocabulary padded.
var gpt2 = [][2]int{{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}, {50304, 768}}

// llama are N and K of LLaMA 3.2 1B: the fused q, k and v, attention's output, the fused gate and up, and down.
var llama = [][2]int{{3072, 2048}, {2048, 2048}, {16384, 2048}, {2048, 8192}}

var (
	onHost = sizes{tokens: 1024, linears: gpt2, batch: 4, heads: 12, depth: 64, lengths: []int{256, 1024}, channels: 768, wide: 3072,
		headTokens: 1024, vocab: 50257, headRows: []int{128, 256, 1024}, parameters: 32 << 20, side: 4096, prompt: 16, generated: 48}
	onCard = sizes{tokens: 16384, linears: append(gpt2, llama...), batch: 16, heads: 12, depth: 64, lengths: []int{1024, 4096},
		channels: 2048, wide: 8192, headTokens: 16384, vocab: 50257, headRows: []int{2048, 4096}, parameters: 256 << 20, side: 16384,
		prompt: 16, generated: 256}
	simulated = sizes{tokens: 1024, linears: [][2]int{{768, 256}, {256, 768}}, batch: 1, heads: 2, depth: 64, lengths: []int{256}, channels: 256, wide: 512,
		headTokens: 64, vocab: 1000, headRows: []int{32}, parameters: 1 << 16, side: 256, prompt: 8, generated: 4, tiny: true}
	forTests = sizes{tokens: 17, linears: [][2]int{{48, 33}}, batch: 2, heads: 2, depth: 8, lengths: []int{19}, channels: 33, wide: 64,
		headTokens: 17, vocab: 100, headRows: []int{8}, parameters: 1000, side: 16, prompt: 3, generated: 4, tiny: true}
)

// size chooses the sizes for a device.
func (o Options) size(i kernels.Info) sizes {
	switch {
	case o.small:
		return forTests
	case i.Kind == "cuda":
		return onCard
	case i.Kind == "sim":
		return simulated
	}
	return onHost
}
