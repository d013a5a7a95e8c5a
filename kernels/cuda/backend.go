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
	lost    driver.Result

	usage     kernels.Usage
	live      map[*buffer]struct{}
	scratch   driver.Ptr
	held      int    // bytes of it that an operation keeps from those that it calls
	weights   buffer // of held: unpacked weights
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

// Sync waits for the stream, delivers all downloads and returns the first error since the last Sync. After an error of a
// kernel the device is lost: CUDA does nothing more for this process but repeat the error.
func (b *Backend) Sync() error {
	if b.graphs.recording {
		b.fail(errors.New("Sync while a graph is recorded: end the recording first"))
	} else if err := b.stream.Synchronize(); err != nil {
		b.fail(fmt.Errorf("wait for %s: %w", b.info.Name, err))
		b.lost = driver.Lost(err)
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

// Close waits for the stream and frees everything. An error says what failed.
func (b *Backend) Close() error {
	var err error
	if b.graphs.recording {
		_, err = b.EndCapture()
	}
	return errors.Join(err, b.Sync(), b.release())
}

// release frees what a Backend has, also one that is not completely open. Of a lost device it returns no error: they
// would all be the one that Sync has told.
func (b *Backend) release() error {
	var errs []error
	do := func(err error) {
		if err != nil && (b.lost == driver.Success || !errors.Is(err, b.lost)) {
			errs = append(errs, err)
		}
	}
	for buf := range b.live {
		do(b.freeBuffer(buf))
	}
	for i := range b.graphs.list {
		b.Forget(i)
	}
	do(b.err)
	if b.scratch != 0 {
		do(b.ctx.Free(b.scratch))
	}
	do(b.timing.close())
	do(b.uploads.close())
	do(b.downloads.close())
	for i := range b.loaded {
		if m := b.loaded[i].module; m != nil {
			do(m.Close())
		}
	}
	if b.stream != nil {
		b.block.Close()
		do(b.stream.Close())
	}
	if b.ctx != nil {
		do(b.ctx.Close())
	}
	if b.machine != nil {
		do(b.machine.Close())
	}
	return errors.Join(errs...)
}

// work is scratch memory that an operation may use until it has queued its last kernel: the stream is one, so the next
// operation's kernels come after. Operations that would need more work in pieces.
func (b *Backend) work() (ptr, int) { return ptr(b.scratch) + ptr(b.held), b.usage.Overhead - b.held }
