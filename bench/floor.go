package bench

import (
	"fmt"
	"strconv"
	"strings"
)

// A Floor is the least ratio that is good enough for the results under a name.
type Floor struct {
	Name  string
	Ratio float64
}

// ParseFloor reads NAME=RATIO, as in gemm/f32=0.95.
func ParseFloor(s string) (Floor, error) {
	name, value, ok := strings.Cut(s, "=")
	ratio, err := strconv.ParseFloat(value, 64)
	if !ok || name == "" || err != nil || !(ratio > 0) {
		return Floor{}, fmt.Errorf("%q: want NAME=RATIO with a positive ratio, as in gemm/f32=0.95", s)
	}
	return Floor{name, ratio}, nil
}

// Check compares every result that has a ratio with the floors of its name and of the names above it. A floor that no
// ratio was measured for is not met.
func Check(floors []Floor, results []Result) error {
	var broken []string
	for _, f := range floors {
		found := false
		for _, r := range results {
			if r.Against == "" || r.Name != f.Name && !strings.HasPrefix(r.Name, f.Name+"/") {
				continue
			}
			found = true
			if !(r.Ratio >= f.Ratio) {
				broken = append(broken, fmt.Sprintf("%s is %.2fx %s, less than %g", r.Name, r.Ratio, r.Against, f.Ratio))
			}
		}
		if !found {
			broken = append(broken, fmt.Sprintf("%s=%g: nothing of that name was compared with anything", f.Name, f.Ratio))
		}
	}
	if broken == nil {
		return nil
	}
	return fmt.Errorf("too slow:\n   %s", strings.Join(broken, "\n   "))
}
