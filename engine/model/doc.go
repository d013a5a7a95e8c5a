// Package model is the transformers that forja trains: GPT-2 and GPT-3, and LLaMA 1 to 3 with Qwen2's biases.
//
// A [Model] is a [Config], the storage of its parameters ([graph.Var]) and ordinary Go that records its computation in
// a graph. Storage is laid out for the kernels: q, k and v are one projection, gate and up another, the vocabulary is
// padded. The outside world speaks Hugging Face's names and shapes; [Model.Tensors] is the one map between the two, and
// checkpoints, exports and LoRA targets go through it.
//
// Shape letters: B sequences, T positions, M rows (B·T or single tokens), C channels, H heads, D channels of a head,
// F channels of the feed-forward, V vocabulary.
//
// Deliberately absent: dtypes (see [Model.SetDType]), files (engine/format), and anything that loops.
package model
