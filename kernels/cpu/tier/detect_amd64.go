//go:build amd64 && !noasm

package tier

import "golang.org/x/sys/cpu"

func detect() Tier {
	x := cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return Portable
	case !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512DQ || !x.HasAVX512VL:
		return AVX2
	case !x.HasAVX512BF16:
		return AVX512
	default:
		return AVX512BF16
	}
}
