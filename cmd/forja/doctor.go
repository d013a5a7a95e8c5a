package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"forja/bench"
	"forja/engine/device"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/kernels"
)

// A finding is one thing that the doctor looked at.
type finding struct {
	What    string         `json:"what"`
	Verdict device.Verdict `json:"verdict"`
	Text    string         `json:"text"`
	Do      []string       `json:"do,omitempty"` // what would help
}

// A diagnosis is what forja doctor prints.
type diagnosis struct {
	Machine  bench.Machine  `json:"machine"`
	Findings []finding      `json:"findings"`
	Verdict  device.Verdict `json:"verdict"` // of the worst finding
}

func (d *diagnosis) add(f finding) {
	d.Findings = append(d.Findings, f)
	d.Verdict = max(d.Verdict, f.Verdict)
}

func (a *app) doctorCmd() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "doctor", Short: "say what this machine can do, what is wrong with it, and what to do about it",
		Long: "Looks at the processor, NVIDIA cards, their driver and health, the kernels that would run, memory and the disk, and\n" +
			"measures each for a second or two. Exits with 3 if something should not be used.",
		Example: "  forja doctor\n  forja doctor --json", Args: cobra.NoArgs}
	c.Flags().StringVar(&dir, "dir", ".", "directory whose disk is looked at: where runs will be")
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := &diagnosis{Machine: bench.Here(version)}
		d.add(a.examineCPU(c.Context(), d.Machine))
		for _, f := range a.examineCards(c.Context()) {
			d.add(f)
		}
		d.add(examineDisk(dir))
		a.talk.clear()
		if err := a.print(d, d.print); err != nil {
			return err
		}
		if d.Verdict == device.Refuse {
			return checkError{errors.New("something of this machine should not be used: see above")}
		}
		return nil
	}
	return c
}

func (d *diagnosis) print(w io.Writer) {
	fmt.Fprintf(w, "forja %s · %s · %s\n\n", d.Machine.Commit, d.Machine.Go, d.Machine.OS)
	for _, f := range d.Findings {
		fmt.Fprintf(w, "%-7s %-7s %s\n", f.Verdict, f.What, f.Text)
		for _, line := range f.Do {
			fmt.Fprintf(w, "%16s→ %s\n", "", line)
		}
	}
	fmt.Fprintf(w, "\nverdict: %s\n", map[device.Verdict]string{
		device.OK:     "ready. Try: forja speedrun",
		device.Warn:   "usable, with remarks",
		device.Refuse: "something should not be used",
	}[d.Verdict])
}

// examineCPU measures the processor's own kernels.
func (a *app) examineCPU(ctx context.Context, m bench.Machine) finding {
	a.talk.progress("measuring the processor ...")
	f := finding{What: "cpu"}
	rates, err := a.rates(ctx, "cpu")
	if err != nil {
		f.Verdict, f.Text = device.Refuse, err.Error()
		return f
	}
	f.Text = fmt.Sprintf("%s · %d cores · %s · %s memory · %s", m.CPU, m.Cores, m.Tier, size(m.Memory), rates)
	if m.Tier != m.Hardware {
		f.Verdict = device.Warn
		f.Do = append(f.Do, fmt.Sprintf("the processor has %s: unset FORJA_CPU", m.Hardware))
	}
	if m.Busy() {
		f.Do = append(f.Do, fmt.Sprintf("the load average is %.1f: other work is running and the figures are low", m.Load))
	}
	return f
}

// rates are what a device reaches: products and copies.
type rates struct {
	info      kernels.Info
	f32, bf16 float64 // FLOP/s
	copy      float64 // bytes/s, read and written
}

func (r rates) String() string {
	return fmt.Sprintf("%s f32 · %s bf16 · %.1f GB/s", flops(r.f32), flops(r.bf16), r.copy/1e9)
}

func flops(x float64) string {
	if x >= 1e12 {
		return fmt.Sprintf("%.1f TFLOP/s", x/1e12)
	}
	return fmt.Sprintf("%.0f GFLOP/s", x/1e9)
}

// rates measures a device.
func (a *app) rates(ctx context.Context, name string) (r rates, err error) {
	dev, err := a.openDevice(name)
	if err != nil {
		return r, err
	}
	err = dev.Do(ctx, func(b kernels.Backend) (err error) {
		r.info = b.Info()
		if r.f32, err = train.Peak(b, kernels.F32); err != nil {
			return err
		}
		if r.bf16, err = train.Peak(b, kernels.BF16); err != nil {
			return err
		}
		r.copy, err = train.Bandwidth(b)
		return err
	})
	return r, errors.Join(err, dev.Close())
}

// examineCards looks at every NVIDIA card: its health, and whether forja's kernels run on it.
func (a *app) examineCards(ctx context.Context) (found []finding) {
	m, err := device.Open()
	if err != nil {
		f := finding{What: "nvidia", Text: err.Error()}
		if hasCard() {
			f.Verdict = device.Warn
			f.Do = []string{"an NVIDIA card is in this machine: install its driver, version 525 or newer"}
		} else {
			f.Do = []string{"training runs on the CPU; every kernel can be tried on the simulated card: --device sim"}
		}
		return []finding{f}
	}
	defer m.Close()
	driver := m.Driver()
	cards, err := m.Cards()
	if err != nil {
		return []finding{{What: "nvidia", Verdict: device.Refuse, Text: err.Error()}}
	}
	found = append(found, finding{What: "nvidia", Text: fmt.Sprintf("driver %s · CUDA %s · %d cards", driver.Version, driver.CUDA, len(cards))})
	for _, c := range cards {
		a.talk.progress("measuring card %d ...", c.Index)
		found = append(found, a.examineCard(ctx, m, c))
	}
	return found
}

func (a *app) examineCard(ctx context.Context, m device.Monitor, c device.Card) finding {
	s, h := device.Check(m, c.Index, nil)
	f := finding{What: fmt.Sprintf("card %d", c.Index), Verdict: h.Verdict, Do: h.Reasons}
	f.Text = fmt.Sprintf("%s · compute capability %s · %s", c.Name, c.Capability, size(c.Memory))
	if s.MemoryFree != nil {
		f.Text += fmt.Sprintf(", %s free", size(*s.MemoryFree))
	}
	if s.Celsius != nil {
		f.Text += fmt.Sprintf(" · %d °C", *s.Celsius)
	}
	if h.Verdict == device.Refuse {
		return f
	}
	r, err := a.rates(ctx, "cuda:"+c.UUID)
	if err != nil {
		f.Verdict = device.Refuse
		f.Do = append(f.Do, err.Error())
		return f
	}
	f.Text += fmt.Sprintf(" · %s · %s", r.info.Tier, r)
	if ps, err := m.Processes(c.Index); err == nil {
		for _, p := range ps {
			if p.PID != os.Getpid() {
				f.Do = append(f.Do, fmt.Sprintf("process %d uses %s of it", p.PID, size(p.Memory)))
			}
		}
	}
	return f
}

// hasCard reports whether the PCI bus has a device of NVIDIA's.
func hasCard() bool {
	vendors, _ := filepath.Glob("/sys/bus/pci/devices/*/vendor")
	for _, v := range vendors {
		if b, err := os.ReadFile(v); err == nil && string(b) == "0x10de\n" {
			return true
		}
	}
	return false
}

// diskWanted is what a modest run leaves behind: a few checkpoints of a small model.
const diskWanted = 5 << 30

// examineDisk writes a file as checkpoints are written, and takes it away.
func examineDisk(dir string) finding {
	f := finding{What: "disk"}
	refuse := func(err error) finding {
		f.Verdict, f.Text, f.Do = device.Refuse, err.Error(), []string{"choose another directory with --dir"}
		return f
	}
	temp, err := os.MkdirTemp(dir, ".forja-doctor-")
	if err != nil {
		return refuse(err)
	}
	defer os.RemoveAll(temp)
	d, err := vfs.OS(temp)
	if err != nil {
		return refuse(err)
	}
	defer d.Close()
	free, err := d.Free()
	if err != nil {
		return refuse(err)
	}
	const bytes = 64 << 20
	start := time.Now()
	if err := vfs.WriteFile(d, "probe", make([]byte, bytes)); err != nil {
		return refuse(err)
	}
	rate := bytes / time.Since(start).Seconds()
	f.Text = fmt.Sprintf("%s free in %s · durable writes at %.0f MB/s", size(free), dir, rate/1e6)
	if free < diskWanted {
		f.Verdict = device.Warn
		f.Do = []string{fmt.Sprintf("checkpoints need room: less than %s is free", size(int64(diskWanted)))}
	}
	return f
}
