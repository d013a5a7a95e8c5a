package gemm

import "syscall"

// adviseHuge asks for huge pages. It is a hint: a kernel without them says no, and nothing is lost.
func adviseHuge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
