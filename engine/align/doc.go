// Package align holds the objectives of alignment as plain functions: from log-probabilities that the graph computes to
// a loss and its derivatives, which the graph takes back as cotangents (see graph.Step.Forward and Backward). They need no
// kernels of their own.
//
// A log-probability here is of a whole completion where a sequence matters (DPO, reward) and of a token where tokens do
// (PPO, GRPO). Everything is float64 on the host: there are few numbers.
//
// Deliberately absent: rollouts, reward models and loops, which build on these functions.
package align
