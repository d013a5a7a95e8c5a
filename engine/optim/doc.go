// Package optim is AdamW and Muon over a model's parameters, and the schedules of their learning rates.
//
// An [Optimizer] lays parameters, gradients and moments out in flat ranges, so that one kernel sweeps each group, and
// records the update as a graph of its own: a training step is the plan of the micro-step, as often as the batch needs,
// and then the plan of the update. Scalars that change every step are in a control block on the device.
//
// Deliberately absent: optimizers that nobody would choose for a transformer today, and learning rates per layer.
package optim
