package stats

import (
	"fmt"
	"strconv"
	"strings"
)

// Grouped writes a number with commas between thousands.
func Grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, digit := range s {
		if left := len(s) - i; i > 0 && left%3 == 0 && s[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// size is a number of bytes in the unit that fits.
func size(n int64) string {
	x := float64(n)
	for _, u := range []struct {
		bits int
		name string
	}{{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if unit := float64(int64(1) << u.bits); x >= unit {
			x /= unit
			if x == float64(int64(x)) || x >= 100 {
				return fmt.Sprintf("%.0f %s", x, u.name)
			}
			return fmt.Sprintf("%.1f %s", x, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// short is a number for a place that is small.
func short(n int64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if x := float64(n); x >= u.size {
			unit := u.size
			if u.name == "k" {
				unit = 1e3
			}
			if x >= 100*unit {
				return fmt.Sprintf("%.0f %s", x/unit, u.name)
			}
			return strings.TrimSuffix(fmt.Sprintf("%.1f", x/unit), ".0") + " " + u.name
		}
	}
	return Grouped(n)
}

// share is a part of a whole in percent.
func share(part, whole int64) string {
	if whole <= 0 {
		return ""
	}
	p := 100 * float64(part) / float64(whole)
	switch {
	case p > 0 && p < 0.1:
		return "<0.1 %"
	case p < 100 && p >= 99.95:
		return ">99.9 %"
	}
	return fmt.Sprintf("%.1f %%", p)
}

func width(part, most int64) string {
	if most <= 0 {
		return "0%"
	}
	return fmt.Sprintf("%.2f%%", min(100, 100*float64(max(part, 0))/float64(most)))
}

// rate is bytes a token.
func rate(bytes, tokens int64) string {
	if tokens == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(bytes)/float64(tokens))
}

// several is a number of things.
func several(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return Grouped(n) + " " + thing
}
