package device

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestJudge(t *testing.T) {
	good := Sample{Celsius: new(60), Slowdown: new(87), Shutdown: new(92), Throttle: new(PowerCap)}
	clean := Faults{ECC: new(true), Uncorrected: new(uint64(0)), RemappedRows: new(0), RetiredSingle: new(0), RetiredDouble: new(0)}
	full := Links{PCIeGen: 1, PCIeGenMax: 5, PCIeWidth: 16, PCIeWidthMax: 16, NVLinks: 18}
	for name, c := range map[string]struct {
		change func(*Sample, *Faults, *Links)
		xid    int
		want   Verdict
		reason string
	}{
		"a healthy card under its power cap": {want: OK},
		"nothing known":                      {change: func(s *Sample, f *Faults, l *Links) { *s, *f, *l = Sample{}, Faults{}, Links{} }, want: OK},
		"uncorrected errors":                 {change: func(_ *Sample, f *Faults, _ *Links) { f.Uncorrected = new(uint64(2)) }, want: Refuse, reason: "2 uncorrected ECC"},
		"corrected errors":                   {change: func(_ *Sample, f *Faults, _ *Links) { f.Corrected = new(uint64(2000)) }, want: OK},
		"no spare rows":                      {change: func(_ *Sample, f *Faults, _ *Links) { f.RemapFailed = true }, want: Refuse, reason: "replace the card"},
		"a row to remap":                     {change: func(_ *Sample, f *Faults, _ *Links) { f.RemapPending = true }, want: Refuse, reason: "reset the card"},
		"511 remapped rows":                  {change: func(_ *Sample, f *Faults, _ *Links) { f.RemappedRows = new(511) }, want: OK},
		"512 remapped rows":                  {change: func(_ *Sample, f *Faults, _ *Links) { f.RemappedRows = new(512) }, want: Warn, reason: "512 rows"},
		"62 retired pages":                   {change: func(_ *Sample, f *Faults, _ *Links) { f.RetiredSingle = new(62) }, want: OK},
		"63 retired pages":                   {change: func(_ *Sample, f *Faults, _ *Links) { f.RetiredSingle, f.RetiredDouble = new(60), new(3) }, want: Refuse, reason: "63 memory pages"},
		"16 pages retired by double bits":    {change: func(_ *Sample, f *Faults, _ *Links) { f.RetiredDouble = new(16) }, want: Refuse, reason: "double-bit"},
		"a page to retire":                   {change: func(_ *Sample, f *Faults, _ *Links) { f.RetirePending = true }, want: Warn, reason: "reboot"},
		"ECC off":                            {change: func(_ *Sample, f *Faults, _ *Links) { f.ECC = new(false) }, want: Warn, reason: "ECC is off"},
		"the driver asks for a reboot":       {change: func(_ *Sample, f *Faults, _ *Links) { f.Recovery = Reboot }, want: Refuse, reason: "reboot"},
		"an unknown recovery action":         {change: func(_ *Sample, f *Faults, _ *Links) { f.Recovery = 9 }, want: Refuse, reason: "recovery action 9"},
		"NVLink replays":                     {change: func(_ *Sample, f *Faults, _ *Links) { f.NVLinkReplays = new(uint64(1)) }, want: Warn, reason: "1 NVLink"},
		"one NVLink down":                    {change: func(_ *Sample, _ *Faults, l *Links) { l.NVLinks, l.NVLinksDown = 17, 1 }, want: Warn, reason: "1 of 18 NVLinks"},
		"no NVLink bridge":                   {change: func(_ *Sample, _ *Faults, l *Links) { l.NVLinks, l.NVLinksDown = 0, 4 }, want: OK},
		"half the lanes":                     {change: func(_ *Sample, _ *Faults, l *Links) { l.PCIeWidth = 8 }, want: Warn, reason: "8 of 16 lanes"},
		"as hot as clocks bear":              {change: func(s *Sample, _ *Faults, _ *Links) { s.Celsius = new(84) }, want: Warn, reason: "84 °C"},
		"one degree cooler":                  {change: func(s *Sample, _ *Faults, _ *Links) { s.Celsius = new(83) }, want: OK},
		"about to turn itself off":           {change: func(s *Sample, _ *Faults, _ *Links) { s.Celsius = new(89) }, want: Refuse, reason: "92 °C"},
		"a hardware slowdown":                {change: func(s *Sample, _ *Faults, _ *Links) { s.Throttle = new(HardwareSlow | Idle) }, want: Warn, reason: "hardware slowdown"},
		"the program's own page fault":       {xid: 31, want: OK},
		"an NVLink Xid":                      {xid: 74, want: Refuse, reason: "Xid 74 (NVLink error): reset"},
		"fallen off the bus":                 {xid: 79, want: Refuse, reason: "reboot"},
		"an Xid that is on no list":          {xid: 999, want: Warn, reason: "Xid 999"},
	} {
		t.Run(name, func(t *testing.T) {
			s, f, l := good, clean, full
			if c.change != nil {
				c.change(&s, &f, &l)
			}
			var xids []Event
			if c.xid != 0 {
				xids = []Event{{Xid: c.xid}}
			}
			h := Judge(s, f, l, xids)
			assert.Equal(t, c.want, h.Verdict, "%v", h.Reasons)
			if c.want == OK {
				assert.Empty(t, h.Reasons)
			} else if assert.Len(t, h.Reasons, 1) {
				assert.Contains(t, h.Reasons[0], c.reason)
			}
		})
	}
}

func TestThrottleNamesLeaveIdlenessOut(t *testing.T) {
	assert.Equal(t, []string{"power cap", "hardware thermal slowdown"}, (Idle | PowerCap | HardwareThermal).Names())
	assert.Empty(t, Idle.Names())
}

func TestCardsAreFoundByUUIDWithAndWithoutPrefix(t *testing.T) {
	cards := []Card{{Index: 0, UUID: "GPU-aa"}, {Index: 1, UUID: "GPU-bb"}}
	for _, id := range []string{"GPU-bb", "bb"} {
		c, ok := ByUUID(cards, id)
		assert.True(t, ok)
		assert.Equal(t, 1, c.Index)
	}
	_, ok := ByUUID(cards, "cc")
	assert.False(t, ok)
}
