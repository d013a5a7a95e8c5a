package main

import (
	"context"
	"fmt"

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

// info describes a device.
func info(ctx context.Context, d *kernels.Device) (i kernels.Info, err error) {
	err = d.Do(ctx, func(b kernels.Backend) error {
		i = b.Info()
		return nil
	})
	return i, err
}

// describe is a device in one line.
func describeDevice(i kernels.Info) string {
	return fmt.Sprintf("%s · %s · %d threads", i.Name, i.Tier, i.Threads)
}
