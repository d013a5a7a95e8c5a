// Package device watches the NVIDIA cards of this machine through NVML: what they are, what they are doing, and whether
// they are fit to work on.
//
// NVML is reached by go-nvml where cgo is in use on Linux (the build tag nonvml leaves it out), by a small binding of
// our own through purego otherwise, and not at all elsewhere or with the tag nocuda. Every build starts on a machine
// without a driver: Open then returns an [AbsentError].
//
// Deliberately absent: changing anything on a card (clocks, power limits, MIG, resets).
package device

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Monitor reads the cards of one machine. Cards are numbered as NVML does, in the order of their PCI addresses; CUDA
// may number them differently, so match by UUID. Methods may be called from any goroutine.
type Monitor interface {
	// Driver is the version of the kernel driver and the newest CUDA version it runs.
	Driver() Driver
	// Cards identifies every card.
	Cards() ([]Card, error)
	// Sample reads what a card is doing now.
	Sample(card int) (Sample, error)
	// Faults reads the error counters of a card.
	Faults(card int) (Faults, error)
	// Links reads a card's connections to the host and to other cards.
	Links(card int) (Links, error)
	// Processes lists who computes on a card.
	Processes(card int) ([]Process, error)
	// Events reports Xid errors of all cards as they happen, until ctx ends.
	Events(ctx context.Context, report func(Event)) error
	// Close gives NVML back.
	Close() error
}

// Driver is the software below every card.
type Driver struct {
	Version string `json:"version"` // 550.54.15
	CUDA    string `json:"cuda"`    // 12.4
}

// A Card is what does not change while the machine runs.
type Card struct {
	Index      int    `json:"index"`
	Name       string `json:"name"`
	UUID       string `json:"uuid"`
	PCI        string `json:"pci"`        // domain:bus:device.function
	Capability string `json:"capability"` // compute capability, "9.0"
	Memory     int64  `json:"memory"`     // bytes
}

// A Sample is a card at one moment. What a card does not tell is nil.
type Sample struct {
	MemoryUsed *int64 `json:"memory_used,omitempty"` // bytes, by all processes
	MemoryFree *int64 `json:"memory_free,omitempty"` // bytes
	Busy       *int   `json:"busy,omitempty"`        // percent of the last interval with a kernel running
	MemoryBusy *int   `json:"memory_busy,omitempty"` // percent of it with memory being read or written

	Celsius  *int `json:"celsius,omitempty"`
	Slowdown *int `json:"slowdown,omitempty"` // °C at which clocks are lowered
	Shutdown *int `json:"shutdown,omitempty"` // °C at which the card turns itself off

	Watts      *float64 `json:"watts,omitempty"`
	PowerLimit *float64 `json:"power_limit,omitempty"` // W, as enforced
	Joules     *float64 `json:"joules,omitempty"`      // since the driver was loaded

	SMClock       *int      `json:"sm_clock,omitempty"` // MHz
	SMClockMax    *int      `json:"sm_clock_max,omitempty"`
	MemoryClock   *int      `json:"memory_clock,omitempty"`
	MemClockMax   *int      `json:"memory_clock_max,omitempty"`
	Throttle      *Throttle `json:"-"`
	ThrottleNames []string  `json:"throttle,omitempty"`
}

// Throttle says why clocks are not at their highest: NVML's clocks event reasons.
type Throttle uint64

// Reasons of Throttle.
const (
	Idle            Throttle = 1 << 0
	AppClocks       Throttle = 1 << 1
	PowerCap        Throttle = 1 << 2
	HardwareSlow    Throttle = 1 << 3
	SyncBoost       Throttle = 1 << 4
	SoftwareThermal Throttle = 1 << 5
	HardwareThermal Throttle = 1 << 6
	PowerBrake      Throttle = 1 << 7
	DisplayClocks   Throttle = 1 << 8
)

var throttleNames = []string{"idle", "application clocks", "power cap", "hardware slowdown", "sync boost",
	"software thermal slowdown", "hardware thermal slowdown", "power brake", "display clocks"}

// Names lists the reasons, idleness left out.
func (t Throttle) Names() (names []string) {
	for i, n := range throttleNames[1:] {
		if t>>(i+1)&1 != 0 {
			names = append(names, n)
		}
	}
	return names
}

// Faults are counters of what went wrong. What a card does not tell is nil.
type Faults struct {
	ECC              *bool    `json:"ecc,omitempty"`               // whether it is on
	Corrected        *uint64  `json:"ecc_corrected,omitempty"`     // since the driver was loaded
	Uncorrected      *uint64  `json:"ecc_uncorrected,omitempty"`   // since the driver was loaded
	RemappedRows     *int     `json:"remapped_rows,omitempty"`     // by uncorrectable errors
	RemapPending     bool     `json:"remap_pending,omitempty"`     // until the next reset
	RemapFailed      bool     `json:"remap_failed,omitempty"`      // no spare row was left
	RetiredSingle    *int     `json:"retired_single,omitempty"`    // pages, after repeated single-bit errors
	RetiredDouble    *int     `json:"retired_double,omitempty"`    // pages, after a double-bit error
	RetirePending    bool     `json:"retire_pending,omitempty"`    // until the next reboot
	Recovery         Recovery `json:"recovery,omitempty"`          // what the driver asks for
	PCIeReplays      *uint64  `json:"pcie_replays,omitempty"`      // since the driver was loaded
	NVLinkReplays    *uint64  `json:"nvlink_replays,omitempty"`    // over all links
	NVLinkRecoveries *uint64  `json:"nvlink_recoveries,omitempty"` // over all links
	NVLinkCRC        *uint64  `json:"nvlink_crc_errors,omitempty"` // over all links
}

// Recovery is the action that a driver (570 or newer) asks for.
type Recovery int

// Values of Recovery, NVML's field 230.
const (
	NoRecovery Recovery = iota
	Reset
	Reboot
	DrainP2P
	DrainReset
)

func (r Recovery) String() string {
	names := [...]string{"none", "reset", "reboot", "drain peer-to-peer work", "drain and reset"}
	if r < 0 || int(r) >= len(names) {
		return fmt.Sprintf("recovery action %d", int(r))
	}
	return names[r]
}

// Links are connections. What a card does not tell is 0.
type Links struct {
	PCIeGen, PCIeGenMax     int // PCI Express generation; it falls while a card is idle
	PCIeWidth, PCIeWidthMax int // lanes
	NVLinks                 int // that are up
	NVLinksDown             int // that exist and are not up
}

// A Process computes on a card.
type Process struct {
	PID    int   `json:"pid"`
	Memory int64 `json:"memory"` // bytes; 0 if the driver does not say, as in a container
}

// An Event is an Xid error.
type Event struct {
	Time time.Time `json:"time"`
	Card int       `json:"card"` // -1 if the driver does not say
	Xid  int       `json:"xid"`
}

// An AbsentError says that this machine or this build has no NVML.
type AbsentError struct{ Why string }

func (e *AbsentError) Error() string { return "no NVIDIA driver: " + e.Why }

// ErrLost is returned where a card has fallen off the bus or must be reset before anything else.
var ErrLost = errors.New("card is lost")

// ByUUID finds a card. A UUID as CUDA prints it may lack the prefix "GPU-".
func ByUUID(cards []Card, uuid string) (Card, bool) {
	for _, c := range cards {
		if strings.TrimPrefix(c.UUID, "GPU-") == strings.TrimPrefix(uuid, "GPU-") {
			return c, true
		}
	}
	return Card{}, false
}
