// Package kernels is the contract between the graph and a device.
//
// A [Backend] is a device's memory, one ordered stream of work, and about forty coarse operations: what a transformer
// is made of, fused where the best kernels fuse. Every method's comment is its contract: formula, shapes, dtypes,
// aliasing, source. The conformance suite in kernels/kerneltest holds every backend to these comments.
//
// Conventions, valid for every operation unless its comment says otherwise:
//
//   - The destination comes first, as in copy. An absent optional argument is the zero [Tensor].
//   - Operations are queued on one stream and return nothing. The stream keeps the first error; Sync returns it.
//   - Backends trust their arguments: [Check] validates a call once, when a plan is compiled.
//   - A float operand is F32 or BF16, in any mixture; arithmetic and reductions are done in F32 and rounded once, to
//     nearest even, when stored. Statistics, gradients of parameters, moments and control blocks are F32. Indices are I32.
//     Where all operands of a matrix product inside an operation are BF16, a value that only that product reads (the
//     gradient of logits, attention's probabilities) may be rounded to BF16 first, as tensor cores do.
//   - Outputs do not overlap inputs, except that an element-wise operand may be exactly the output.
//   - Results are bitwise the same for the same binary, device model, tier and arguments, whatever the number of threads:
//     reduction orders are fixed and there are no float atomics.
//   - (M,N) in a comment is the matrix view of a tensor: N its last axis, M the product of all others.
//   - Gradients are suffixed DX, DW or Grad. Parameter gradients take accumulate: true adds to the destination, false
//     overwrites it.
//
// Deliberately absent: broadcasting, arbitrary strides, an eager tensor type with methods for arithmetic, dtype
// promotion, and any operation selected by an integer code.
package kernels
