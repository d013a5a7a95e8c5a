// Package tier says which instruction sets the CPU kernels may use.
//
// The tier is chosen once, when the process starts, from what the processor has, and can be lowered by the
// environment variable FORJA_CPU, so that one machine tests every tier. Arithmetic may differ between tiers in the last
// bits; within one tier it is bitwise deterministic. There is deliberately no way to raise the tier above the hardware's.
package tier

import (
	"fmt"
	"os"
	"strings"
)

// A Tier is an instruction set level; each contains the ones before it.
type Tier int

const (
	Portable   Tier = iota // plain Go, every architecture
	AVX2                   // AVX2 and FMA, 8 lanes
	AVX512                 // AVX-512 F, BW, DQ and VL, 16 lanes
	AVX512BF16             // AVX-512 with VDPBF16PS
)

var names = [...]string{"portable", "avx2", "avx512", "avx512bf16"}

func (t Tier) String() string { return names[t] }

// Parse is the inverse of String.
func Parse(s string) (Tier, error) {
	for i, n := range names {
		if s == n {
			return Tier(i), nil
		}
	}
	return 0, fmt.Errorf("unknown CPU tier %q: want one of %s", s, strings.Join(names[:], ", "))
}

var (
	hardware = detect()
	current  = hardware
	envErr   error
)

func init() {
	s := os.Getenv("FORJA_CPU")
	if s == "" {
		return
	}
	t, err := Parse(s)
	if err != nil {
		envErr = fmt.Errorf("FORJA_CPU: %w", err)
		return
	}
	current = min(t, hardware)
}

// Err reports a malformed FORJA_CPU; a device refuses to open with it.
func Err() error { return envErr }

// Hardware is the highest tier of this processor.
func Hardware() Tier { return hardware }

// Current is the tier in use.
func Current() Tier { return current }

// Set lowers or raises the tier, never above the hardware's, and returns a function that restores the old one.
// It is for tests and benchmarks and must not run beside a kernel.
func Set(t Tier) (undo func()) {
	old := current
	current = min(t, hardware)
	return func() { current = old }
}

// All lists the tiers this machine can run, lowest first.
func All() []Tier {
	var ts []Tier
	for t := Portable; t <= hardware; t++ {
		ts = append(ts, t)
	}
	return ts
}
