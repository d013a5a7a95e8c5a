// Package ngram is the baseline that a neural language model must beat: interpolated modified Kneser–Ney over token ids
// (Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1998).
//
// The probability of token w after a context h of n-1 tokens is
//
//	p(w|h) = (c(hw) - D(c(hw))) / c(h·) + γ(h) p(w|h')      γ(h) = Σ_w D(c(hw)) / c(h·)
//
// where h' is h without its first token, and below the first order stands the uniform distribution. Of the highest order c is
// the count; of the lower ones it is in how many contexts the n-gram has been seen: the number of distinct tokens before it,
// and the times that nothing known stood before it. D is one of three discounts of its order, for counts of 1, 2, and
// 3 or more; they come from the counts of counts ([Estimate]) or are fitted to a text ([Model.Fit]).
//
// Training reads the rows that a neural model reads, so both can be given exactly the same tokens, and measuring gives an
// eval.Likelihood over exactly the same targets. A context ends where a document or a row begins. A document that begins
// within a row is known to begin, which counts as one more token of context; the first token of a row may be anything.
//
// N-grams are sorted arrays: those of order n stand in the order of their context's number, then of their last token, so a
// context's continuations are one range. That takes 8 bytes for each distinct n-gram and 16 for each context.
//
// Deliberately absent: pruning, quantisation, files, and words.
package ngram
