package cpu

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hugePages is the size from which a mapping asks for large pages: two of them fit for certain.
const hugePages = 4 << 20

func mapMemory(size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("map memory: %w", err)
	}
	if size >= hugePages {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // advice: a kernel without large pages is only slower
	}
	return mem, nil
}

func unmapMemory(mem []byte) {
	if mem != nil {
		_ = unix.Munmap(mem) // cannot fail for what Mmap returned
	}
}

// physicalMemory is the machine's memory or the limit of the control group, 0 if neither is known.
func physicalMemory() int {
	var info unix.Sysinfo_t
	total := 0
	if unix.Sysinfo(&info) == nil {
		total = int(info.Totalram) * int(info.Unit)
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.Atoi(string(bytes.TrimSpace(text))); err == nil && n > 0 && (total == 0 || n < total) {
			total = n
		}
	}
	return total
}

// processorName is the model name the kernel reports.
func processorName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return fallbackName
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return fallbackName
}
