package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"forja/engine/train"
	"forja/kernels"
	"forja/kernels/cpu"
	"forja/kernels/cuda"
	"forja/kernels/cuda/driver"
)

const deviceHelp = "cpu, cuda, cuda:N or cuda:UUID, sim (a simulated H100) or sim:80 (a simulated A100), auto"

// openDevice opens the device that a recipe or flag names. Only auto may choose, and it says what.
func (a *app) openDevice(name string) (*kernels.Device, error) {
	open, err := a.device(name)
	if err != nil {
		return nil, err
	}
	d, err := kernels.OpenDevice(open)
	if err != nil {
		return nil, deviceError{err}
	}
	return d, nil
}

// openQuietly is openDevice for verbs whose result names the device itself.
func (a *app) openQuietly(name string) (*kernels.Device, error) {
	return (&app{talk: a.talk, told: true}).openDevice(name)
}

func openCPU() (kernels.Backend, error) { return cpu.Open(cpu.Options{}) }

// placed names the environment variable in which a scheduler says on which device it placed a job. It overrides recipes.
const placed = "FORJA_DEVICE"

// device is how to open what a name says.
func (a *app) device(name string) (func() (kernels.Backend, error), error) {
	if where := os.Getenv(placed); where != "" {
		name = where
	}
	kind, which, _ := strings.Cut(name, ":")
	switch kind {
	case "", "cpu":
		if which == "" {
			return openCPU, nil
		}
	case "auto":
		cards, err := cuda.Cards()
		switch {
		case which != "":
		case err == nil && len(cards) > 0:
			return a.openCard(0), nil
		case err == nil:
			a.chose("cpu, since the NVIDIA driver shows no card")
			return openCPU, nil
		case errors.Is(err, driver.ErrNoDriver):
			a.chose("cpu, since there is no NVIDIA driver")
			return openCPU, nil
		default:
			a.chose(fmt.Sprintf("cpu, since no card can be used: %v", err))
			return openCPU, nil
		}
	case "cuda":
		ordinal, err := cardOrdinal(which)
		if err != nil {
			return nil, deviceError{fmt.Errorf("device %q: %w", name, err)}
		}
		return a.openCard(ordinal), nil
	case "sim":
		return simulated(name, false)
	}
	return nil, noDevice(name)
}

func noDevice(name string) error {
	return deviceError{fmt.Errorf("there is no device %q\n   there are: %s", name, deviceHelp)}
}

// simulated is how to open the simulated card of a name, which counts what its kernels do if it should.
func simulated(name string, count bool) (func() (kernels.Backend, error), error) {
	o := cuda.Options{Simulate: true, Memory: simMemory, Count: count}
	switch name {
	case "sim", "sim:90":
		o.Capability = 90
	case "sim:80":
		o.Capability = 80
	default:
		return nil, noDevice(name)
	}
	return func() (kernels.Backend, error) {
		b, err := cuda.Open(o)
		if err != nil {
			return nil, err // not a nil *Backend in an interface
		}
		return b, nil
	}, nil
}

// chose says, once, what --device auto came to.
func (a *app) chose(what string) {
	if !a.told {
		a.talk.printf("device  auto is the %s", what)
	}
	a.told = true
}

// simMemory is what a simulated card has: as a small real one, so that plans that fit here fit there.
const simMemory = 4 << 30

// openCard opens a card and says how, where it is not as it should be.
func (a *app) openCard(ordinal int) func() (kernels.Backend, error) {
	return func() (kernels.Backend, error) {
		b, err := cuda.Open(cuda.Options{Ordinal: ordinal})
		if err != nil {
			return nil, err
		}
		for _, note := range b.Notes() {
			a.talk.printf("! %s", note)
		}
		return b, nil
	}
}

// cardOrdinal is CUDA's number of a card that is named by number or UUID. Nothing is the first.
func cardOrdinal(which string) (int, error) {
	cards, err := cuda.Cards()
	if err != nil {
		return 0, err
	}
	if which == "" {
		which = "0"
	}
	n, err := strconv.Atoi(which)
	for _, c := range cards {
		if err == nil && c.Ordinal == n || c.UUID == which || c.UUID == "GPU-"+which {
			return c.Ordinal, nil
		}
	}
	var names []string
	for _, c := range cards {
		names = append(names, fmt.Sprintf("cuda:%d (%s)", c.Ordinal, c.Name))
	}
	return 0, fmt.Errorf("there is no device cuda:%s\n   there are: %s", which, strings.Join(names, ", "))
}

// peak measures what MFU is counted against, on a device of its own, so that what training allocates is what its plan says.
func (a *app) peak(ctx context.Context, name string, d kernels.DType) (rate float64, err error) {
	dev, err := a.openDevice(name)
	if err != nil {
		return 0, err
	}
	err = dev.Do(ctx, func(b kernels.Backend) (err error) {
		rate, err = train.Peak(b, d)
		return err
	})
	return rate, errors.Join(err, dev.Close())
}

// describe is a device in one line.
func describeDevice(i kernels.Info) string {
	if i.Threads == 0 {
		return fmt.Sprintf("%s · %s", i.Name, i.Tier)
	}
	return fmt.Sprintf("%s · %s · %d threads", i.Name, i.Tier, i.Threads)
}
