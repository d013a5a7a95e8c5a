package sim

import "errors"

// Options describe the machine.
type Options struct {
	Capability int    // of its card: 80 (A100) or 90 (H100); 0 is 90
	Memory     int    // bytes of the card; 0 is 1 GiB
	Check      bool   // check every access of kernels
	Seed       uint64 // of the order in which warps run; 0 is their own
	Workers    int    // blocks run at once; 0 is the number of processors
}

// A Machine is a simulated machine.
type Machine struct{}

// New makes a machine.
func New(o Options) (*Machine, error) { return nil, errors.New("not yet") }

// Resolve gives the address of a driver function.
func (m *Machine) Resolve(name string) (uintptr, error) { return 0, errors.New("not yet") }

// Close ends the machine.
func (m *Machine) Close() error { return nil }
