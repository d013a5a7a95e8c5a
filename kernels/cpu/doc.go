// Package cpu is the processor as a device: every operation of [kernels.Backend] on a pool of threads.
//
// Operations run while they are called: the stream is the caller's goroutine, and Sync has nothing to wait for. Inside,
// an operation is a loop over rows or tiles that the workers of a [par.Pool] share. How an operation is cut depends on
// its shapes only, and partial sums are combined in order, so results do not depend on the number of threads. In steady
// state an operation allocates nothing: its arguments live in a field of the Backend, its working memory in scratch
// that each worker keeps.
//
// F32 and BF16 share one implementation: rows of BF16 are widened into scratch, computed, and rounded once when stored.
// The arithmetic itself is in the packages gemm (matrix products) and vec (everything that walks along a row); this one
// knows the operations, their geometry and their memory.
//
// Deliberately absent: asynchronous execution, NUMA placement, any choice made by timing at run time.
package cpu
