package main

import (
	"fmt"
	"time"
)

// count is a number for people: 950, 12.3 k, 4.56 M, 1.20 G.
func count[N int | int64 | uint64 | float64](n N) string {
	x := float64(n)
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e4, " k"}} {
		if x >= u.size {
			if u.size == 1e4 {
				return fmt.Sprintf("%.1f k", x/1e3)
			}
			return fmt.Sprintf("%.2f%s", x/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f", x)
}

// size is a number of bytes for people.
func size[N int | int64](n N) string {
	x := float64(n)
	switch {
	case x >= 1<<30:
		return fmt.Sprintf("%.2f GiB", x/(1<<30))
	case x >= 1<<20:
		return fmt.Sprintf("%.1f MiB", x/(1<<20))
	case x >= 1<<10:
		return fmt.Sprintf("%.1f KiB", x/(1<<10))
	}
	return fmt.Sprintf("%.0f B", x)
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d m %02d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %02d m", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%d d %02d h", s/86400, s/3600%24)
	}
}
