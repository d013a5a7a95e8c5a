// Package cuda is the Backend of NVIDIA cards, and of a card that is simulated in Go.
//
// It needs the NVIDIA driver and nothing else, neither to be built nor to run: no toolkit, no cgo. The kernels are
// written in CUDA C++ (src), compiled to PTX by clang and committed (ptx), and compiled to native code by the driver when
// an operation first uses them. There are two sets: sm_80 runs on every card since Ampere; sm_90a adds Hopper's
// asynchronous copies and warp-group products to matrix products and attention, and is chosen where the driver takes it.
//
// The driver is called through package driver. With Options.Simulate its functions come from package sim, which interprets
// the very same PTX and checks every access: each kernel runs in the tests of any machine.
//
// One Backend is one device, one stream and one operating system thread: see kernels.Device. Launches are made through
// typed methods that are generated from the kernels' signatures (launches.go). Transfers go through page-locked memory
// and never make the host wait, except for Sync, Free, and downloads that are larger than the memory set aside. Mark and
// Await read a download before the rest of the stream is done; BeginCapture, EndCapture and Replay repeat a recorded
// stretch of the stream by one call.
//
// Deliberately absent: several streams, a caching allocator (a plan has one arena), cuBLAS and cuDNN, and tuning at run
// time.
package cuda
