// Package interp runs PTX on the CPU. It parses the text that the driver would get, turns every
// instruction into a closure over a warp of 32 lanes, and runs a grid block by block, warp by warp.
// It exists so that the kernels which ship can be executed, checked and counted where there is no GPU.
//
// Divergent lanes are kept on a stack of masks and meet again at the branch's immediate
// post-dominator. Whatever is asynchronous happens as late as the program allows, and memory that
// nobody wrote holds NaN, so that a missing wait gives a wrong result every time. Options.Check adds
// what a GPU does not have: bounds of every allocation, alignment, reads of unwritten memory and
// registers, and data races, each reported with the line of PTX, the block and the thread. Races are also
// those of bulk copies and wgmma, which see memory through a proxy of their own: a missing fence between
// the proxies, a missing wait, an accumulator touched too early, a block that ends too early.
//
// The semantics are those of NVIDIA's "PTX ISA" 8.x. Instructions which that manual calls
// approximate are wrong by about as much as it permits.
//
// Deliberately absent: textures and surfaces, calls, 8-bit floats, video instructions, im2col and interleaved
// tensor maps, wgmma of anything but bf16 and f16 with sums in float32, and time. A
// warp runs in lockstep, so lanes of one warp that spin on each other never finish; blocks run to
// their end in ascending order, so a block may wait for one before it but not for one after it.
package interp
