package stats

import (
	"fmt"
	"strconv"
)

// columns are a chart of columns over one axis. Places are shares of the drawing, such as "43.2%", so that it fits any width while
// its letters keep their size.
type columns struct {
	Label   string // what the chart shows, for those who do not see it
	Columns []column
	Ticks   []tick
}

type column struct {
	X, Y, Width, Height string
	Middle, Above       string // where the value stands
	Value, Title        string
	Minor               bool // the value is left out where there is little room
}

type tick struct {
	X, Text string
	Anchor  string // the part of the text that stands at X: start, middle or end
	Minor   bool   // left out where there is little room
}

// The drawing from the left to the right, and from the tallest column's top to the axis, in percent.
const (
	left, right  = 2.0, 98.0
	top, bottom  = 10.0, 84.0
	aboveColumns = 2.0
)

// draw places columns. Only the value of the tallest stays where there is little room.
func draw(label string, values []int64, names []string) *columns {
	c := &columns{Label: label}
	var most int64
	for _, v := range values {
		most = max(most, v)
	}
	step := (right - left) / float64(len(values))
	gap := step * 0.12
	for i, v := range values {
		height := (bottom - top) * float64(v) / float64(max(most, 1))
		x := left + step*float64(i)
		col := column{X: percent(x + gap/2), Width: percent(step - gap), Y: percent(bottom - height), Height: percent(height), Middle: percent(x + step/2),
			Above: percent(bottom - height - aboveColumns), Title: names[i] + ": " + Grouped(v), Minor: v != most}
		if v > 0 {
			col.Value = short(v)
		}
		c.Columns = append(c.Columns, col)
	}
	return c
}

func percent(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) + "%" }

// binColumns draw a histogram, whose ticks stand between the columns.
func binColumns(bins []Bin, label string, unit func(int64) string) *columns {
	if len(bins) == 0 {
		return nil
	}
	var values []int64
	var names []string
	for _, b := range bins {
		values = append(values, b.Documents)
		names = append(names, fmt.Sprintf("%s to %s", Grouped(b.From), Grouped(b.To-1)))
	}
	c := draw("Columns: "+label+". The same numbers are in the table below.", values, names)
	step := (right - left) / float64(len(bins))
	for i := 0; i <= len(bins); i++ {
		edge := bins[min(i, len(bins)-1)].From
		if i == len(bins) {
			edge = bins[i-1].To
		}
		every := (len(bins) + 4) / 5 // about five where there is little room
		anchor := "middle"
		if i == 0 {
			anchor = "start"
		} else if i == len(bins) {
			anchor = "end"
		}
		c.Ticks = append(c.Ticks, tick{percent(left + step*float64(i)), unit(edge), anchor, i%every != 0})
	}
	return c
}

// maxYears is how many years a chart shows.
const maxYears = 40

// yearColumns draw documents over the years, if these are few enough to be shown without gaps.
func yearColumns(t Table) *columns {
	first, last := 9999, 0
	by := map[int]int64{}
	for _, r := range t.Rows {
		if year, err := strconv.Atoi(r.Name); err == nil {
			first, last = min(first, year), max(last, year)
			by[year] = r.Documents
		}
	}
	if last-first < 2 || last-first >= maxYears {
		return nil
	}
	var values []int64
	var names []string
	for year := first; year <= last; year++ {
		values = append(values, by[year])
		names = append(names, strconv.Itoa(year))
	}
	c := draw("Columns: documents by year. The same numbers are in the table below.", values, names)
	step := (right - left) / float64(len(values))
	for i, name := range names {
		every := (len(names) + 5) / 6
		if i%((len(names)+19)/20) == 0 {
			c.Ticks = append(c.Ticks, tick{percent(left + step*(float64(i)+0.5)), name, "middle", i%every != 0})
		}
	}
	return c
}
