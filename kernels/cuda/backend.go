package cuda

import (
	"errors"
	"fmt"

	"forja/kernels"
	"forja/kernels/cuda/driver"
	"forja/kernels/cuda/sim"
)

// Backend is a card. It must be used on the thread that opened it.
type Backend struct {
	launcher
	api     *driver.API
	machine *sim.Machine // nil on a card
	info    kernels.Info
	uuid    string
	notes   []string
	sms     int  // multiprocessors
	hopper  bool // kernels for sm_90a are in use

	usage     kernels.Usage
	live      map[*buffer]struct{}
	scratch   driver.Ptr
	uploads   uploads
	downloads downloads
	maps      map[driver.TensorShape]*driver.TensorMap
	graphs    graphs
}

var _ kernels.Backend = (*Backend)(nil)

// Info describes the card.
func (b *Backend) Info() kernels.Info { return b.info }

// Notes are remarks on how the device was opened, for logs: why it does not use the kernels that were made for it.
func (b *Backend) Notes() []string { return b.notes }

// Machine is the simulated machine that the device is in, nil for a card.
func (b *Backend) Machine() *sim.Machine { return b.machine }

// Sync waits for the stream, delivers all downloads and returns the first error since the last Sync.
func (b *Backend) Sync() error {
	if b.graphs.recording {
		b.fail(errors.New("Sync while a graph is recorded: end the recording first"))
	} else if err := b.stream.Synchronize(); err != nil {
		b.fail(fmt.Errorf("wait for %s: %w", b.info.Name, err))
	} else {
		b.uploads.reset()
		b.downloads.deliver(b.downloads.n)
	}
	err := b.err
	b.err = nil
	if err != nil {
		b.downloads.drop()
	}
	return err
}

// Close waits for the stream and frees everything. An error says what failed, or what the backend itself forgot.
func (b *Backend) Close() error {
	var errs []error
	if b.graphs.recording {
		_, err := b.EndCapture()
		errs = append(errs, err)
	}
	if b.stream != nil {
		errs = append(errs, b.Sync())
	}
	errs = append(errs, b.release()...)
	return errors.Join(errs...)
}

// release frees what a Backend has, also one that is not completely open.
func (b *Backend) release() (errs []error) {
	for buf := range b.live {
		errs = append(errs, b.release1(buf))
	}
	for i := range b.graphs.list {
		b.Forget(i)
	}
	errs = append(errs, b.err)
	if b.scratch != 0 {
		errs = append(errs, b.ctx.Free(b.scratch))
		b.scratch = 0
	}
	errs = append(errs, b.timing.close(), b.uploads.close(), b.downloads.close())
	errs = append(errs, b.unload()...)
	if b.stream != nil {
		b.block.Close()
		errs = append(errs, b.stream.Close())
	}
	if b.ctx != nil {
		errs = append(errs, b.ctx.Close())
	}
	if b.machine != nil {
		errs = append(errs, b.machine.Close())
	}
	return errs
}

// work is scratch memory that an operation may use until it has queued its last kernel: the stream is one, so the next
// operation's kernels come after. Operations that would need more work in pieces.
func (b *Backend) work() (ptr, int) { return ptr(b.scratch), b.usage.Overhead }
