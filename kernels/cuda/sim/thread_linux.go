package sim

import "syscall"

// threadID names the operating system thread that runs the caller.
func threadID() int { return syscall.Gettid() }
