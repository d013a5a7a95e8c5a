// Package gen generates text from a model: prefill, decoding with a paged key-value cache, sampling, streaming.
//
// A [Generator] records two plans of the same model code that training uses: one token a sequence, and a chunk of a
// prompt. What a prompt shares with the sequence before it stays in the cache, so a conversation costs only its new
// tokens. Sampling happens on the device, with random numbers that depend on the seed and the position alone.
//
// Deliberately absent: batches of independent requests (engine/serve will own those), speculative decoding, beams.
package gen
