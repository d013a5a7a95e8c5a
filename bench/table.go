package bench

import (
	"fmt"
	"io"
	"time"
)

// Print writes what the machine is, for people.
func (m Machine) Print(w io.Writer) {
	fmt.Fprintf(w, "machine  %s · %d cores · %s · %.1f GiB · %s\n", m.CPU, m.Cores, m.Tier, float64(m.Memory)/(1<<30), m.OS)
	fmt.Fprintf(w, "built    %s · commit %s\n", m.Go, m.Commit)
	fmt.Fprintf(w, "when     %s · load average %.2f", m.Time, m.Load)
	if m.Busy() {
		fmt.Fprint(w, ": OTHER WORK IS RUNNING, figures will be low and ratios rough")
	}
	fmt.Fprintln(w)
}

// Print writes which peer there is, or why none.
func (p Peer) Print(w io.Writer) {
	if p.Missing != "" {
		fmt.Fprintf(w, "  %s: not measured: %s\n", p.Name, p.Missing)
		return
	}
	told := ""
	if p.Chosen != "" {
		told = fmt.Sprintf(" (told to: it had chosen %s)", p.Chosen)
	}
	fmt.Fprintf(w, "  %s: %s · kernels for %s%s · %d threads · %s\n", p.Name, p.Config, p.Core, told, p.Threads, p.Path)
}

// PrintHeader begins a table of results.
func PrintHeader(w io.Writer, title string) {
	fmt.Fprintf(w, "\n%s\n  %-32s %10s %-8s %10s %10s %10s   %s\n", title, "", "rate", "", "best", "median", "processor", "against")
}

// Print writes a row of a table, and what else is known.
func (r Result) Print(w io.Writer) {
	fmt.Fprintf(w, "  %-32s %10s %-8s %10s %10s %10s", r.Name, decimals(r.Rate), r.Unit, duration(r.Seconds), duration(r.Median),
		duration(r.Processor))
	if r.Against != "" {
		fmt.Fprintf(w, "   %-9s %9s  %.2fx", r.Against, decimals(r.AgainstRate), r.Ratio)
		if r.ProcessorRatio > 0 {
			fmt.Fprintf(w, " (%.2fx by processor time)", r.ProcessorRatio)
		}
	}
	fmt.Fprintln(w)
	if r.StepFigures != nil {
		r.StepFigures.print(w)
	}
	if d := r.DecodeFigures; d != nil {
		fmt.Fprintf(w, "    %s: %d tokens after %d; bound: %s of weights at %.1f GB/s, as fast as all threads read so many bytes\n",
			d.DecodeModel, d.Tokens, d.Prompt, mebibytes(d.WeightBytes), d.BandwidthGBS)
	}
}

func (f *StepFigures) print(w io.Writer) {
	recompute := ""
	if f.Recompute {
		recompute = ", blocks recomputed"
	}
	fmt.Fprintf(w, "    %s, %.1f M parameters, %d×%d tokens%s\n", f.Model, float64(f.Parameters)/1e6, f.Batch, f.Time, recompute)
	fmt.Fprintf(w, "    %.1f GFLOP/s by 6N+6LCT = %.1f %% of %.0f GFLOP/s, the product of side 1024\n", f.GFLOPS, 100*f.MFU, f.PeakGFLOPS)
	fmt.Fprintf(w, "    %s planned · %s peak resident · %d allocations an update · compiled in %s\n", mebibytes(f.PlannedBytes),
		mebibytes(f.PeakRSS), f.Allocations, duration(f.CompileS))
	fmt.Fprintf(w, "    %7s  %10s  %10s\n", "share", "seconds", "processor")
	for _, s := range f.Shares {
		if s.Share < 0.002 {
			break
		}
		rate := fmt.Sprintf("%7.1f GB/s", s.GBS)
		if s.GFLOPS > 0 {
			rate = fmt.Sprintf("%7.1f GFLOP/s", s.GFLOPS)
		}
		fmt.Fprintf(w, "    %5.1f %%  %10s  %10s  %4d ×  %-15s %-24s %s\n", 100*s.Share, duration(s.Seconds), duration(s.Processor), s.Calls, s.Op, s.Shape, rate)
	}
}

// decimals is a rate with four figures.
func decimals(x float64) string {
	switch {
	case x >= 1000:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

func duration(seconds float64) string {
	d := time.Duration(seconds * 1e9)
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.3f s", seconds)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3f ms", 1e3*seconds)
	}
	return fmt.Sprintf("%.1f µs", 1e6*seconds)
}

func mebibytes(n int) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
