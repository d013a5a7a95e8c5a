// Package kerneltest is the conformance suite of [kernels.Backend]: what a backend must pass to be one.
//
// Every operation has cases: odd and round shapes, strided rows, mixtures of dtypes, optional arguments present and
// absent, every permitted aliasing. What must come out is computed by an oracle written from the contracts' formulas, in
// float64, with plain loops. Memory around and between the rows of a tensor is watched; it holds NaN, as do outputs
// before the call and all memory that an operation has no business reading, so that a read too many shows as well.
//
// # Tolerances
//
// No tolerance is chosen. The oracle computes with numbers that carry a bound on the error that float32 arithmetic may
// make on them ([num]): running error analysis (Wilkinson 1986; Higham, Accuracy and Stability of Numerical Algorithms,
// section 3.3), so that each element of each output has a bound of its own, which follows from the formula and the
// inputs. The constants are these, with u = 2⁻²⁴, half an ulp of 1:
//
//   - A sum or product of two numbers errs by u of its result, a quotient or square root by 3u: they may be an approximate
//     reciprocal, good to 2u, and a product.
//   - A sum of n products errs by min(n, 6√n)·u·Σ|xy|. The first is the bound of every order of summation; the second
//     holds for every order with a probability of 1 - 2·exp(-6²/2) = 1 - 3·10⁻⁸ if rounding errors are independent (Higham
//     and Mary 2019), and for the orders of real kernels, which have many partial sums, more surely still.
//   - exp errs by (4 + 2|x|)·u of its result: 4u is what processors' approximations of 2ˣ promise, and x·log₂e is
//     rounded before. log errs by 4u and by 4u of its result.
//   - tanh, erf and the logistic function err by 8u, not of their result: it is legitimate to compute one from another, as
//     in 1 - σ(-x), which loses the tail's relative accuracy.
//   - Where arithmetic is done, an uncertain argument is carried through the function itself, not its slope.
//   - The final rounding errs by half an ulp of the output's dtype at that magnitude.
//   - An operation of two chained matrix products may round the matrix between them to BF16 where the float operands of
//     both products are BF16 in memory: matrix units multiply nothing else. These are the probabilities and their gradients
//     in attention and the gradient of the logits of the language-model head.
//   - Attention may rescale what it has summed after every 16 keys, when their maximum rises (Dao 2023).
//   - Numbers below 2⁻¹²⁶ may be flushed to zero.
//
// Copies, look-ups, fills, zeros and random decisions are exact.
//
// Muon iterates a matrix polynomial that amplifies rounding errors; adding up bounds would bound nothing. Its tolerance
// is six standard deviations of the oracle's own result when every intermediate result is disturbed at random within the
// bounds above (Monte Carlo arithmetic, Parker 1997).
//
// # What is deliberately absent
//
// Speed (see bench), training runs (see engine/train), tolerances that a backend could widen, and skipping: an operation
// that a backend does not have fails.
package kerneltest
