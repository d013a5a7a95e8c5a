package device

import "fmt"

// A Verdict says whether to work on a card.
type Verdict int

const (
	OK     Verdict = iota
	Warn           // works; somebody should look at it; no new job if there is another card
	Refuse         // results or the run are at risk: start nothing on it
)

func (v Verdict) String() string { return [...]string{"ok", "warn", "refuse"}[v] }

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Health is a verdict with its reasons, the worst first met last. A card that is OK has none.
type Health struct {
	Verdict Verdict  `json:"verdict"`
	Reasons []string `json:"reasons,omitempty"`
}

func (h *Health) add(v Verdict, format string, args ...any) {
	h.Verdict = max(h.Verdict, v)
	h.Reasons = append(h.Reasons, fmt.Sprintf(format, args...))
}

// Thresholds of Judge, with where they come from.
const (
	retiredMost   = 63  // pages: DCGM fails a card at so many
	retiredDouble = 15  // pages retired by double-bit errors: DCGM
	remappedMost  = 512 // rows: DCGM warns
	nearSlowdown  = 3   // °C below the slowdown temperature
)

// Judge weighs what is known of a card. What is not known is not held against it.
func Judge(s Sample, f Faults, l Links, xids []Event) (h Health) {
	if n := get(f.Uncorrected); n > 0 {
		h.add(Refuse, "%d uncorrected ECC errors since the driver was loaded: reset the card; if they return, replace it", n)
	}
	if f.RemapFailed {
		h.add(Refuse, "row remapping failed, no spare row is left: replace the card")
	}
	if f.RemapPending {
		h.add(Refuse, "a row waits to be remapped: reset the card (nvidia-smi --gpu-reset)")
	}
	if n := get(f.RemappedRows); n >= remappedMost {
		h.add(Warn, "%d rows were remapped after uncorrectable errors", n)
	}
	single, double := get(f.RetiredSingle), get(f.RetiredDouble)
	switch {
	case single+double >= retiredMost:
		h.add(Refuse, "%d memory pages are retired: replace the card", single+double)
	case double > retiredDouble:
		h.add(Refuse, "%d memory pages are retired by double-bit errors: replace the card", double)
	}
	if f.RetirePending {
		h.add(Warn, "a memory page waits to be retired: reboot when nothing runs")
	}
	if f.ECC != nil && !*f.ECC {
		h.add(Warn, "ECC is off: wrong bits go unseen (nvidia-smi -e 1, then reboot)")
	}
	if f.Recovery != NoRecovery {
		h.add(Refuse, "the driver asks for: %v", f.Recovery)
	}
	if n := get(f.NVLinkReplays) + get(f.NVLinkRecoveries); n > 0 {
		h.add(Warn, "%d NVLink replays and recoveries", n)
	}
	if l.NVLinksDown > 0 && l.NVLinks > 0 {
		h.add(Warn, "%d of %d NVLinks are down", l.NVLinksDown, l.NVLinks+l.NVLinksDown)
	}
	if l.PCIeWidth > 0 && l.PCIeWidth < l.PCIeWidthMax {
		h.add(Warn, "PCI Express has %d of %d lanes: reseat the card", l.PCIeWidth, l.PCIeWidthMax)
	}
	if s.Celsius != nil {
		switch t := *s.Celsius; {
		case s.Shutdown != nil && *s.Shutdown > 0 && t >= *s.Shutdown-nearSlowdown:
			h.add(Refuse, "%d °C, and it turns itself off at %d °C: see to its cooling", t, *s.Shutdown)
		case s.Slowdown != nil && *s.Slowdown > 0 && t >= *s.Slowdown-nearSlowdown:
			h.add(Warn, "%d °C, and its clocks fall at %d °C", t, *s.Slowdown)
		}
	}
	if s.Throttle != nil {
		for _, slow := range []Throttle{HardwareSlow, HardwareThermal, PowerBrake} {
			if *s.Throttle&slow != 0 {
				h.add(Warn, "clocks are lowered: %s", slow.Names()[0])
			}
		}
	}
	for _, e := range xids {
		if v, what := xidVerdict(e.Xid); v != OK {
			h.add(v, "Xid %d%s", e.Xid, what)
		}
	}
	return h
}

// get is a counter, or 0.
func get[T number](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Check reads a card and judges it. A card that is lost, or cannot be read, is refused: that is no error.
func Check(m Monitor, card int, xids []Event) (Sample, Health) {
	s, err := m.Sample(card)
	f, faultsErr := m.Faults(card)
	l, linksErr := m.Links(card)
	h := Judge(s, f, l, xids)
	for _, err := range []error{err, faultsErr, linksErr} {
		if err != nil {
			h.add(Refuse, "it cannot be read: %v", err)
			break
		}
	}
	return s, h
}

// UnmarshalText reads a verdict's name.
func (v *Verdict) UnmarshalText(b []byte) error {
	for _, known := range []Verdict{OK, Warn, Refuse} {
		if known.String() == string(b) {
			*v = known
			return nil
		}
	}
	return fmt.Errorf("verdict %q is not one of ok, warn, refuse", b)
}
