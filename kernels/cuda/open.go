package cuda

import (
	"errors"
	"fmt"

	"forja/kernels"
	"forja/kernels/cuda/driver"
	"forja/kernels/cuda/ptx"
	"forja/kernels/cuda/sim"
)

// Options choose a device.
type Options struct {
	Ordinal int    // of the card
	Target  string // kernels to use: sm_80, sm_90a, or "" for the best that the device takes

	Simulate   bool   // a machine simulated in Go instead of a card
	Capability int    // of the simulated card: 80 or 90; 0 is 90
	Memory     int    // bytes of the simulated card; 0 is 1 GiB
	Driver     int    // CUDA version of the simulated driver; 0 is 12040, which is 12.4
	Check      bool   // check every access of simulated kernels for races, bounds and initialisation
	Count      bool   // count what simulated kernels do: see sim.Machine.Stats
	Seed       uint64 // of the order in which simulated warps run; 0 is their own
	Workers    int    // blocks simulated at once; 0 is the number of processors
}

// sizes of what a Backend reserves for itself.
type sizes struct{ work, upload, download int }

var (
	onCard    = sizes{work: 64 << 20, upload: 4 << 20, download: 4 << 20}
	simulated = sizes{work: 8 << 20, upload: 256 << 10, download: 256 << 10}
)

// Open opens a device on the calling thread, which must be locked and make all calls: give it to kernels.OpenDevice.
func Open(o Options) (*Backend, error) {
	b := &Backend{live: map[*buffer]struct{}{}, maps: map[driver.TensorShape]*driver.TensorMap{}}
	if err := b.open(o); err != nil {
		return nil, errors.Join(fmt.Errorf("open cuda device %d: %w", o.Ordinal, err), b.release())
	}
	return b, nil
}

func (b *Backend) open(o Options) error {
	kind, own, resolve := "cuda", onCard, driver.Resolve(nil)
	var err error
	if o.Simulate {
		kind, own = "sim", simulated
		b.machine, err = sim.New(sim.Options{
			Capability: o.Capability, Memory: o.Memory, Driver: o.Driver, Check: o.Check, Count: o.Count, Seed: o.Seed,
			Workers: o.Workers,
		})
		if err != nil {
			return err
		}
		resolve = b.machine.Resolve
	} else if resolve, err = driver.System(); err != nil {
		return err
	}
	if b.api, err = driver.Bind(resolve); err != nil {
		return err
	}
	if b.ctx, err = b.api.Open(o.Ordinal); err != nil {
		return err
	}
	if b.stream, err = b.ctx.NewStream(); err != nil {
		return err
	}
	b.block = b.stream.NewLaunch()
	b.buf = b.block.Params()
	b.table, b.source, b.loaded = kernelTable[:], ptx.Extract, make([]loaded, len(kernelTable))

	if err := b.choose(o.Target); err != nil {
		return err
	}
	if err := b.reserveOwn(own); err != nil {
		return err
	}
	if b.sms, err = b.ctx.Attribute(driver.Multiprocessors); err != nil {
		return err
	}
	name, err := b.ctx.Name()
	if err != nil {
		return err
	}
	if b.uuid, err = b.ctx.UUID(); err != nil {
		return err
	}
	free, _, err := b.ctx.Memory()
	if err != nil {
		return err
	}
	tier := "sm_80"
	if b.hopper {
		tier = "sm_90a"
	}
	b.info = kernels.Info{Kind: kind, Name: name, Tier: tier, Memory: free}
	return nil
}

// reserveOwn makes the backend's own memory.
func (b *Backend) reserveOwn(s sizes) (err error) {
	if b.scratch, err = b.ctx.Alloc(s.work); err != nil {
		return fmt.Errorf("reserve %d bytes of working memory: %w", s.work, err)
	}
	b.usage.Overhead = s.work
	if b.uploads, err = openUploads(b.ctx, s.upload); err != nil {
		return err
	}
	b.downloads, err = openDownloads(b.ctx, s.download)
	return err
}

// choose decides which kernels to use.
func (b *Backend) choose(target string) error {
	major, err := b.ctx.Attribute(driver.CapabilityMajor)
	if err != nil {
		return err
	}
	minor, err := b.ctx.Attribute(driver.CapabilityMinor)
	if err != nil {
		return err
	}
	if major < 8 {
		return fmt.Errorf("its compute capability is %d.%d: the kernels need 8.0 (Ampere) or later", major, minor)
	}
	switch target {
	case "sm_80":
		return nil
	case "sm_90a":
		if err := b.probe(); err != nil {
			return fmt.Errorf("kernels for sm_90a: %w", err)
		}
		b.hopper = true
		return nil
	case "":
		if major == 9 && minor == 0 {
			err := b.probe()
			b.hopper = err == nil
			if err != nil {
				b.notes = append(b.notes, fmt.Sprintf("kernels for sm_80 are used: the driver refuses those for sm_90a: %v", err))
			}
		}
		return nil
	}
	return fmt.Errorf("kernels for %q: want sm_80 or sm_90a", target)
}

// probe loads a kernel that only sm_90a has instructions for.
func (b *Backend) probe() error {
	const text = `.version 8.0
.target sm_90a
.address_size 64
.visible .entry probe()
{
	wgmma.fence.sync.aligned;
	ret;
}
`
	m, err := b.ctx.Load(text)
	if err != nil {
		return err
	}
	_, err = m.Function("probe")
	return errors.Join(err, m.Close())
}
