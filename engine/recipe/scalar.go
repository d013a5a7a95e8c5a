package recipe

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Steps is a number of optimizer steps, absolute or as a share of the whole run.
type Steps struct {
	N     int     // absolute; 0 when Share is set
	Share float64 // of all steps, in [0, 1]
}

// Of returns the number of steps in a run of total steps.
func (s Steps) Of(total int) int {
	if s.Share > 0 {
		return int(math.Round(s.Share * float64(total)))
	}
	return s.N
}

// String returns the form that a recipe accepts: 700 or 3%.
func (s Steps) String() string {
	if s.Share > 0 {
		return formatFloat(s.Share*100) + "%"
	}
	return strconv.Itoa(s.N)
}

var (
	numberForm  = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$`)
	leadingZero = regexp.MustCompile(`^[+-]?0\d`)
	basedForm   = regexp.MustCompile(`^[+-]?0[xXoObB][0-9a-fA-F_]+$`)
	groupedForm = regexp.MustCompile(`^[+-]?\d{1,3}([_,]\d{3})+(\.\d+)?$|^[+-]?\d[\d_]*_[\d_]*$`)
)

// looksNumeric reports whether unquoted text would be taken for a number by some YAML reader.
func looksNumeric(s string) bool {
	return numberForm.MatchString(s) || basedForm.MatchString(s) || groupedForm.MatchString(s)
}

// A complaint is why a text is not the wanted value: what it says follows "KEY: ".
type complaint struct{ message, hint string }

// checkNumber refuses forms that readers of YAML disagree about, or that are no number at all.
func checkNumber(text, want string) *complaint {
	switch {
	case basedForm.MatchString(text):
		return &complaint{fmt.Sprintf("%s is not accepted as a number", printable(text)), "write it in decimal"}
	case groupedForm.MatchString(text):
		plain := strings.NewReplacer("_", "", ",", "").Replace(text)
		return &complaint{fmt.Sprintf("%s is not accepted as a number", printable(text)), "write " + plain}
	case leadingZero.MatchString(text):
		return &complaint{fmt.Sprintf("%s has a leading zero, which some readers take for octal", printable(text)),
			"write it without the zero"}
	case !numberForm.MatchString(text):
		return &complaint{fmt.Sprintf("wants %s, found %s", want, node{text: text}.found()), ""}
	}
	return nil
}

// parseInt reads a whole number; 1e2 and 2.0 are whole, 3.5 is not.
func parseInt(text string) (int64, *complaint) {
	const want = "a whole number"
	if c := checkNumber(text, want); c != nil {
		return 0, c
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	const exact = 1 << 53 // beyond it a float64 skips integers
	if err != nil || math.Abs(f) > exact {
		return 0, &complaint{fmt.Sprintf("%s is too large", printable(text)), ""}
	}
	if f != math.Trunc(f) {
		return 0, &complaint{fmt.Sprintf("wants %s, found %s", want, printable(text)), ""}
	}
	return int64(f), nil
}

// parseFloat reads a finite number.
func parseFloat(text string) (float64, *complaint) {
	switch strings.ToLower(strings.TrimLeft(text, "+-.")) {
	case "inf", "nan", "infinity":
		return 0, &complaint{"wants a number that is finite, found " + printable(text), ""}
	}
	if c := checkNumber(text, "a number"); c != nil {
		return 0, c
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, &complaint{fmt.Sprintf("%s is too large", printable(text)), ""}
	}
	return f, nil
}

// parseSteps reads a whole number of steps or a percentage of the run.
func parseSteps(text string) (Steps, *complaint) {
	if body, ok := strings.CutSuffix(text, "%"); ok {
		f, c := parseFloat(strings.TrimSpace(body))
		if c != nil || f < 0 || f > 100 {
			return Steps{}, &complaint{fmt.Sprintf("%s is not a percentage between 0%% and 100%%", printable(text)), ""}
		}
		return Steps{Share: f / 100}, nil
	}
	n, c := parseInt(text)
	if c != nil {
		if strings.Contains(c.message, "wants a whole number") {
			c.message += "; a share of the run is written 3%"
		}
		return Steps{}, c
	}
	if n < 0 || n > math.MaxInt {
		return Steps{}, &complaint{fmt.Sprintf("%d is too small: at least 0", n), ""}
	}
	return Steps{N: int(n)}, nil
}

// parseBool reads true or false, nothing else.
func parseBool(text string) (bool, *complaint) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	c := &complaint{"wants true or false, found " + node{text: text}.found(), ""}
	switch strings.ToLower(text) {
	case "yes", "on", "y", "1", "true":
		c.hint = "write true"
	case "no", "off", "n", "0", "false":
		c.hint = "write false"
	}
	return false, c
}

// parseDuration reads 90s, 5m, 1h30m.
func parseDuration(text string) (time.Duration, *complaint) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, &complaint{"wants a length of time such as 90s, 5m or 2h, found " + node{text: text}.found(), ""}
	}
	return d, nil
}

// formatFloat writes the shortest decimal that reads back to the same number.
func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// formatDuration writes d without zero units: 5m, not 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// An interval is the range of a number, written as in mathematics: "[0,1)", "(0,]".
type interval struct {
	text           string
	low, high      float64
	openLow, above bool // the bound itself is excluded
}

var anyNumber = interval{low: math.Inf(-1), high: math.Inf(1)}

// parseInterval reads the form of the range tag.
func parseInterval(s string) (interval, error) {
	iv := anyNumber
	low, high, ok := strings.Cut(strings.Trim(s, "[]()"), ",")
	if !ok || len(s) < 3 {
		return iv, fmt.Errorf("range %q is not an interval", s)
	}
	var err error
	if low != "" {
		if iv.low, err = strconv.ParseFloat(low, 64); err != nil {
			return iv, err
		}
	}
	if high != "" {
		if iv.high, err = strconv.ParseFloat(high, 64); err != nil {
			return iv, err
		}
	}
	iv.text, iv.openLow, iv.above = s, s[0] == '(', s[len(s)-1] == ')'
	return iv, nil
}

// check says what is wrong with v, or returns nil.
func (iv interval) check(v float64) *complaint {
	switch {
	case v < iv.low && !iv.openLow:
		return &complaint{fmt.Sprintf("%s is too small: at least %s", formatFloat(v), formatFloat(iv.low)), ""}
	case v <= iv.low && iv.openLow:
		return &complaint{fmt.Sprintf("%s is too small: more than %s", formatFloat(v), formatFloat(iv.low)), ""}
	case v > iv.high && !iv.above:
		return &complaint{fmt.Sprintf("%s is too large: at most %s", formatFloat(v), formatFloat(iv.high)), ""}
	case v >= iv.high && iv.above:
		return &complaint{fmt.Sprintf("%s is too large: less than %s", formatFloat(v), formatFloat(iv.high)), ""}
	}
	return nil
}
