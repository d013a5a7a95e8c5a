// Package driver is the part of the CUDA driver API that forja uses, without cgo.
//
// A program that links the CUDA runtime needs a toolkit to be built and the right version of it to run. The driver's own
// library, libcuda.so.1, comes with every NVIDIA driver, has a stable C interface and compiles PTX. This package opens it
// (System), or takes any other source of its functions (Resolve: the simulator's), and binds each function once (Bind).
// Every line above that is the same for a card and for the simulator.
//
// A Context is a device's primary context, current on the thread that opened it. CUDA keeps the current context for
// each operating system thread: all calls belong on one locked thread, such as that of a kernels.Device. Nothing
// here is safe for concurrent use. A Context counts what was made in it: Close reports what was not freed, and freeing
// twice is an error, not undefined behaviour.
//
// Calls that a training step makes by the thousand (launches, copies, events) take their arguments from blocks that are
// allocated once and pinned: they allocate nothing and cost well under 200 ns of Go.
//
// Deliberately absent: finalizers (device memory is explicit), the legacy default stream, synchronous copies, pageable
// memory in copies, memory pools, textures, managed memory, peer access, and the runtime API.
package driver
