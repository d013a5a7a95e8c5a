package driver

import (
	"fmt"
	"unsafe"
)

// A Card is what a driver tells of a device without using it.
type Card struct {
	Ordinal    int    // as Open takes it
	Name       string // NVIDIA H100 80GB HBM3
	UUID       string // as NVML and nvidia-smi print it
	Capability [2]int // compute capability: major, minor
	Memory     int    // bytes
}

// Cards lists the devices of a driver.
func (a *API) Cards() ([]Card, error) {
	n, err := a.Devices()
	if err != nil {
		return nil, err
	}
	cards := make([]Card, n)
	for i := range cards {
		c := &Context{api: a}
		if err := a.call(fnDeviceGet, uintptr(unsafe.Pointer(&c.device)), uintptr(i)); err != nil {
			return nil, err
		}
		if cards[i], err = c.card(i); err != nil {
			return nil, fmt.Errorf("identify cuda device %d: %w", i, err)
		}
	}
	return cards, nil
}

func (c *Context) card(ordinal int) (card Card, err error) {
	card.Ordinal = ordinal
	if card.Name, err = c.Name(); err != nil {
		return card, err
	}
	if card.UUID, err = c.UUID(); err != nil {
		return card, err
	}
	for i, which := range []Attribute{CapabilityMajor, CapabilityMinor} {
		if card.Capability[i], err = c.Attribute(which); err != nil {
			return card, err
		}
	}
	var bytes uintptr
	err = c.api.call(fnDeviceTotalMem, uintptr(unsafe.Pointer(&bytes)), uintptr(c.device))
	card.Memory = int(bytes)
	return card, err
}
