package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"forja/kernels/cpu/tier"
)

// A Machine is where and when figures were measured.
type Machine struct {
	Name     string  `json:"name"` // always "machine": the first line of a report
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"`
	Tier     string  `json:"tier"`
	Hardware string  `json:"hardware_tier"`
	Memory   int     `json:"memory_bytes"`
	Load     float64 `json:"load"` // average of the last minute when the report began; -1 if unknown
	Go       string  `json:"go"`
	Commit   string  `json:"commit"`
	OS       string  `json:"os"`
	Time     string  `json:"time"`
}

// Here describes this machine. version is what the program was built from, "unknown" if the build does not say.
func Here(version string) Machine {
	if version == "unknown" {
		version = commit()
	}
	m := Machine{Name: "machine", CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Tier: tier.Current().String(),
		Hardware: tier.Hardware().String(), Memory: kilobytes("/proc/meminfo", "MemTotal"), Load: -1, Go: runtime.Version(), Commit: version,
		OS: runtime.GOOS + "/" + runtime.GOARCH, Time: time.Now().UTC().Format(time.RFC3339)}
	if m.CPU == "" {
		m.CPU = runtime.GOARCH
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		if load, err := strconv.ParseFloat(first, 64); err == nil {
			m.Load = load
		}
	}
	return m
}

// Busy reports whether other work disturbs measurements: figures are low and ratios rough then.
func (m Machine) Busy() bool { return m.Load > 0.3 }

// commit is the revision that the program was built from, as far as the build recorded it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return revision + dirty
}

// field is a value of a "key: value" file of the kernel, empty where there is none.
func field(path, key string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// kilobytes is a field that is given as so many kB, in bytes.
func kilobytes(path, key string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(field(path, key), " kB"))
	if err != nil {
		return 0
	}
	return n << 10
}

// peakRSS is the largest resident set of this process since resetPeakRSS, 0 if unknown.
func peakRSS() int { return kilobytes("/proc/self/status", "VmHWM") }

// resetPeakRSS makes the present resident set the peak. Where the kernel does not allow it, peaks of earlier
// measurements remain.
func resetPeakRSS() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }
