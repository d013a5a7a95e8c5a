package sched

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

var bootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})

// startOf returns when a process started: ticks since a boot, and which boot. It is "" if there is no such process, and
// for a zombie, which has ended.
func startOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// proc(5): pid (comm) state …, and starttime is field 22. The name may contain spaces and parentheses.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	const state, start = 0, 22 - 3
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return ""
	}
	return fields[start] + "@" + bootID()
}

func alive(id ProcessID) bool { return id.Start != "" && startOf(id.PID) == id.Start }

// findMarker returns the process with a NAME=value in its environment, the oldest if its children inherited it, or 0.
func findMarker(variable string) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	found, oldest := 0, int64(0)
	want := append([]byte(variable), 0)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ") // only our own processes' can be read
		if err != nil || !bytes.HasPrefix(env, want) && !bytes.Contains(env, append([]byte{0}, want...)) {
			continue
		}
		ticks, _, _ := strings.Cut(startOf(pid), "@")
		if t, err := strconv.ParseInt(ticks, 10, 64); err == nil && (found == 0 || t < oldest) {
			found, oldest = pid, t
		}
	}
	return found
}
