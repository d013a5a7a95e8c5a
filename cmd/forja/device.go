package main

import (
	"context"
	"errors"
	"fmt"

	"forja/engine/train"
	"forja/kernels"
	"forja/kernels/cpu"
)

// openDevice opens the device that a recipe or flag names. Only auto may choose, and it says what.
func (a *app) openDevice(name string) (*kernels.Device, error) {
	switch name {
	case "cpu", "auto", "":
	default:
		return nil, deviceError{fmt.Errorf("device %q: this forja has the cpu only\n   use --device cpu", name)}
	}
	d, err := kernels.OpenDevice(func() (kernels.Backend, error) { return cpu.Open(cpu.Options{}) })
	if err != nil {
		return nil, deviceError{err}
	}
	return d, nil
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
	return fmt.Sprintf("%s · %s · %d threads", i.Name, i.Tier, i.Threads)
}
