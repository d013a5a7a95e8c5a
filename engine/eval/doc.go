// Package eval measures a language model: the likelihood of held-out text, and multiple choice.
//
// Everything comes from one forward pass that gives the log-probability of each target: a [Pass] is that pass compiled,
// a [Scorer] the same bound to a device. Training validates with it too, so a figure printed while a model trains is the
// figure that the finished model gets. Sub-package ngram is the baseline that a neural model must beat, measured on the
// very same targets.
//
// A [Likelihood] is nats per token, and bits per byte of text, which alone compares models with different tokenizers.
// Multiple choice is scored as EleutherAI's lm-evaluation-harness does: every choice's tokens given the prompt,
// their log-probabilities summed, the largest sum is the model's answer (acc), or the largest sum per byte of the choice
// (acc_norm). A [Result] is one line of the harness's table.
//
// Deliberately absent: downloading of task sets, tasks that generate text, few-shot prompts, and terminals.
package eval
