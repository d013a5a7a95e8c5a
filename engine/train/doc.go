// Package train is the step loop: batches to gradients to updates, with validation, checkpoints and exact resume.
//
// A [Trainer] is one model, its optimizer and their plans on one device. An update is a micro-step for each part of the
// batch (gradients add up), the gradient's norm, a look at loss and norm, and the update itself: a step whose loss is
// not finite changes nothing. [Run] drives a Trainer through a run directory: metrics, samples, checkpoints, Ctrl-C.
//
// The loss is the sum over all counted targets of the whole accumulated batch, divided by their number, so splitting
// a batch differently changes nothing but rounding. Everything that a resumed run needs is a function of the seed and
// the number of samples seen, or in the checkpoint.
//
// Deliberately absent: a terminal (callers listen through [Hooks]), objectives other than the likelihood of targets
// (engine/align), and state that is not in the run directory.
package train
