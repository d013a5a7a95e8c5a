package guard

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spare is what the system gives beyond the limit: the watch ends a process that grows step by step, and says why, before the
// system refuses it memory, which Go's runtime does not survive in any orderly way. Stacks of threads count, too.
const spare = 256 << 20

// limitProcess bounds the memory that this process may write to, and makes it the first to go where the system runs out. Where
// a system refuses one of these, the watch and the limits of the others hold.
func limitProcess(memory int64) {
	most := uint64(memory) + spare
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

// peak is the most memory that an ended process had, in bytes.
func peak(state *os.ProcessState) int64 {
	if state == nil {
		return 0
	}
	use, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return use.Maxrss << 10
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
