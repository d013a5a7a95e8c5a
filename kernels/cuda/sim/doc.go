// Package sim is a machine with an NVIDIA card, simulated in Go: the functions of the CUDA driver, over the PTX interpreter
// of package interp.
//
// A Machine's Resolve gives C addresses of Go functions, by purego.NewCallback, in the place of libcuda's symbols. Whatever
// is written for the driver runs on it unchanged, on any computer, and through the same calling convention. It is built to
// be less forgiving than a card:
//
//   - A context is current on a thread. Calls from another are error 201, as on a card.
//   - A stream's work is done when something waits for it, and not before: as late as the API allows. What is read too
//     early is visibly wrong, every time.
//   - Copies that the API calls asynchronous accept page-locked memory only. A card takes a Go slice too, copies
//     synchronously, and one day reads what the garbage collector has moved or reused.
//   - Handles are never used twice. A handle that was destroyed, or of another kind, is error 400.
//   - A kernel that does something wrong is error 700 from then on, with the interpreter's words in cuGetErrorString.
//     Likewise the texts of other errors say what was wrong with the call.
//   - Memory is counted against a limit, poisoned when it is allocated and never reused; what is not freed is listed by Close.
//   - A stream that records refuses to be waited for, and the recording is lost.
//   - The card has the limits of an A100 (8.0) or H100 (9.0): shared memory, grid, cluster; PTX for a later card, or of a
//     later version than the driver's, is refused with a compiler's log.
//
// Events measure the time that the simulation takes, which says nothing about a card. What does are the counters of Stats:
// instructions, sectors, bank conflicts.
//
// Calls hold a lock for as long as they take, kernels included. All machines of a process share a fixed set of callbacks,
// of which there can be 2000: sixteen machines can be open at once.
//
// Deliberately absent: the legacy default stream, synchronous copies, several cards in a machine, registers and local
// memory of a function (0), and functions of the driver that package driver does not bind.
package sim
