package device

import (
	"context"
	"fmt"
	"time"
)

// A code is a nvmlReturn_t.
type code int

const (
	success          code = 0
	notSupported     code = 3
	noPermission     code = 4
	insufficientSize code = 7
	timeout          code = 10
	functionNotFound code = 13
	lost             code = 15
	resetRequired    code = 16
)

var codeText = map[code]string{
	1: "not initialised", 2: "invalid argument", 3: "not supported", 4: "no permission", 6: "not found",
	8: "external power cables are not attached", 9: "the kernel driver is not loaded", 10: "timeout",
	12: "libnvidia-ml.so.1 was not found", 13: "the library lacks this function", 14: "infoROM is corrupted",
	15: "the card has fallen off the bus", 16: "the card needs a reset", 17: "the card is blocked by the operating system",
	18: "driver and library versions differ: reboot, or reload the kernel module", 20: "out of memory", 28: "no card was found",
}

func (c code) Error() string {
	if s := codeText[c]; s != "" {
		return s
	}
	return fmt.Sprintf("NVML error %d", int(c))
}

// failed wraps a code in what was asked.
func (c code) failed(what string) error {
	switch c {
	case success:
		return nil
	case lost, resetRequired:
		return fmt.Errorf("%s: %w: %w", what, ErrLost, c)
	}
	return fmt.Errorf("%s: %w", what, c)
}

// library is NVML, as far as it is used, under one of its bindings.
type library interface {
	driver() Driver
	count() (int, code)
	card(i int) (card, code)
	watch(cards []card) code
	// wait blocks for at most ms milliseconds for an Xid on the cards given to watch.
	wait(ms uint32) (index, xid int, c code)
	close()
}

// card is one card of a library. Each method is one call of NVML.
type card interface {
	name() (string, code)
	uuid() (string, code)
	pci() (string, code)
	capability() (major, minor int, c code)
	memory() (total, free, used uint64, c code)
	utilization() (gpu, memory uint32, c code)
	temperature() (uint32, code)
	threshold(kind int) (uint32, code)
	power() (milliwatts uint32, c code)
	powerLimit() (milliwatts uint32, c code)
	energy() (millijoules uint64, c code)
	clock(kind int) (mhz uint32, c code)
	maxClock(kind int) (mhz uint32, c code)
	reasons() (uint64, code)
	eccMode() (bool, code)
	ecc(uncorrected bool) (uint64, code)
	remapped() (uncorrectable int, pending, failed bool, c code)
	retired(double bool) (int, code)
	retirePending() (bool, code)
	recovery() (int, code)
	pcieReplays() (uint64, code)
	pcie() (gen, width, genMax, widthMax int, c code)
	nvlink(link int) (up bool, c code)
	nvlinkErrors(link, counter int) (uint64, code)
	processes() ([]Process, code)
}

// NVML's numbers.
const (
	thresholdShutdown = 0
	thresholdSlowdown = 1
	clockSM           = 1
	clockMemory       = 2
	xidEvent          = 8
	recoveryField     = 230
	nvlinks           = 18 // of an H100; more is asked of none
)

// monitor is a Monitor over a library.
type monitor struct {
	lib   library
	cards []card
}

func newMonitor(lib library) (*monitor, error) {
	n, c := lib.count()
	if c != success {
		return nil, c.failed("count cards")
	}
	m := &monitor{lib: lib}
	for i := range n {
		dev, c := lib.card(i)
		if c != success {
			return nil, c.failed(fmt.Sprintf("open card %d", i))
		}
		m.cards = append(m.cards, dev)
	}
	return m, nil
}

func (m *monitor) Driver() Driver { return m.lib.driver() }

func (m *monitor) Close() error { m.lib.close(); return nil }

// at gives a card by number.
func (m *monitor) at(i int) (card, error) {
	if i < 0 || i >= len(m.cards) {
		return nil, fmt.Errorf("card %d: this machine has %d", i, len(m.cards))
	}
	return m.cards[i], nil
}

func (m *monitor) Cards() (cards []Card, err error) {
	for i, dev := range m.cards {
		c := Card{Index: i}
		ask := asking{what: fmt.Sprintf("identify card %d", i)}
		c.Name = must[string](&ask)(dev.name())
		c.UUID = must[string](&ask)(dev.uuid())
		c.PCI = must[string](&ask)(dev.pci())
		major, minor, code := dev.capability()
		ask.saw(code)
		c.Capability = fmt.Sprintf("%d.%d", major, minor)
		total, _, _, code := dev.memory()
		ask.saw(code)
		c.Memory = int64(total)
		if ask.err != nil {
			return nil, ask.err
		}
		cards = append(cards, c)
	}
	return cards, nil
}

// asking collects the first failure of several calls. Calls that a card does not support are not failures.
type asking struct {
	what string
	err  error
}

// saw reports whether a call gave a value.
func (a *asking) saw(c code) bool {
	switch c {
	case success:
		return true
	case notSupported, functionNotFound, noPermission:
	default:
		if a.err == nil {
			a.err = c.failed(a.what)
		}
	}
	return false
}

// must is the value of a call, or zero.
func must[T any](a *asking) func(T, code) T {
	return func(v T, c code) T { a.saw(c); return v }
}

// maybe is the value of a call as another type, or nil.
func maybe[U number](a *asking) func(uint32, code) *U {
	return func(v uint32, c code) *U {
		if !a.saw(c) {
			return nil
		}
		return new(U(v))
	}
}

// count is the value of a call, or nil.
func count[T any](a *asking) func(T, code) *T {
	return func(v T, c code) *T {
		if !a.saw(c) {
			return nil
		}
		return &v
	}
}

func thousandth(v *float64) *float64 {
	if v != nil {
		*v /= 1e3
	}
	return v
}

type number interface {
	~int | ~uint64 | ~float64
}

func (m *monitor) Sample(i int) (s Sample, err error) {
	dev, err := m.at(i)
	if err != nil {
		return s, err
	}
	ask := asking{what: fmt.Sprintf("read card %d", i)}
	if _, free, used, c := dev.memory(); ask.saw(c) {
		s.MemoryFree, s.MemoryUsed = new(int64(free)), new(int64(used))
	}
	if gpu, mem, c := dev.utilization(); ask.saw(c) {
		s.Busy, s.MemoryBusy = new(int(gpu)), new(int(mem))
	}
	s.Celsius = maybe[int](&ask)(dev.temperature())
	s.Slowdown = maybe[int](&ask)(dev.threshold(thresholdSlowdown))
	s.Shutdown = maybe[int](&ask)(dev.threshold(thresholdShutdown))
	s.Watts = thousandth(maybe[float64](&ask)(dev.power()))
	s.PowerLimit = thousandth(maybe[float64](&ask)(dev.powerLimit()))
	if mj, c := dev.energy(); ask.saw(c) {
		s.Joules = new(float64(mj) / 1e3)
	}
	s.SMClock = maybe[int](&ask)(dev.clock(clockSM))
	s.SMClockMax = maybe[int](&ask)(dev.maxClock(clockSM))
	s.MemoryClock = maybe[int](&ask)(dev.clock(clockMemory))
	s.MemClockMax = maybe[int](&ask)(dev.maxClock(clockMemory))
	if r, c := dev.reasons(); ask.saw(c) {
		s.Throttle = new(Throttle(r))
		s.ThrottleNames = Throttle(r).Names()
	}
	return s, ask.err
}

func (m *monitor) Faults(i int) (f Faults, err error) {
	dev, err := m.at(i)
	if err != nil {
		return f, err
	}
	ask := asking{what: fmt.Sprintf("read errors of card %d", i)}
	f.ECC = count[bool](&ask)(dev.eccMode())
	f.Corrected = count[uint64](&ask)(dev.ecc(false))
	f.Uncorrected = count[uint64](&ask)(dev.ecc(true))
	if rows, pending, failed, c := dev.remapped(); ask.saw(c) {
		f.RemappedRows, f.RemapPending, f.RemapFailed = &rows, pending, failed
	}
	f.RetiredSingle = count[int](&ask)(dev.retired(false))
	f.RetiredDouble = count[int](&ask)(dev.retired(true))
	f.RetirePending = must[bool](&ask)(dev.retirePending())
	f.Recovery = Recovery(must[int](&ask)(dev.recovery()))
	f.PCIeReplays = count[uint64](&ask)(dev.pcieReplays())
	for counter, to := range []**uint64{&f.NVLinkReplays, &f.NVLinkRecoveries, &f.NVLinkCRC} { // in NVML's order
		for link := range nvlinks {
			if up, c := dev.nvlink(link); c != success || !up {
				continue
			}
			if n, c := dev.nvlinkErrors(link, counter); ask.saw(c) {
				if *to == nil {
					*to = new(uint64)
				}
				**to += n
			}
		}
	}
	return f, ask.err
}

func (m *monitor) Links(i int) (l Links, err error) {
	dev, err := m.at(i)
	if err != nil {
		return l, err
	}
	ask := asking{what: fmt.Sprintf("read links of card %d", i)}
	gen, width, genMax, widthMax, c := dev.pcie()
	if ask.saw(c) {
		l.PCIeGen, l.PCIeWidth, l.PCIeGenMax, l.PCIeWidthMax = gen, width, genMax, widthMax
	}
	for link := range nvlinks {
		switch up, c := dev.nvlink(link); {
		case c != success: // no such link
		case up:
			l.NVLinks++
		default:
			l.NVLinksDown++
		}
	}
	return l, ask.err
}

func (m *monitor) Processes(i int) ([]Process, error) {
	dev, err := m.at(i)
	if err != nil {
		return nil, err
	}
	ask := asking{what: fmt.Sprintf("list processes of card %d", i)}
	return must[[]Process](&ask)(dev.processes()), ask.err
}

func (m *monitor) Events(ctx context.Context, report func(Event)) error {
	if c := m.lib.watch(m.cards); c != success {
		return c.failed("watch for Xid errors")
	}
	for ctx.Err() == nil {
		i, xid, c := m.lib.wait(500) // so that the end of ctx is seen soon
		switch c {
		case success:
			report(Event{Time: time.Now(), Card: i, Xid: xid})
		case timeout:
		default:
			return c.failed("wait for Xid errors")
		}
	}
	return nil
}

// cudaVersion writes NVML's 12040 as 12.4.
func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// process is a Process, whose memory NVML may not know.
func process(pid uint32, bytes uint64) Process {
	if bytes == 1<<64-1 {
		bytes = 0
	}
	return Process{int(pid), int64(bytes)}
}
