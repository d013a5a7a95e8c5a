package cuda

import (
	"errors"
	"fmt"

	"forja/kernels/cuda/driver"
)

// graphs are recorded stretches of the stream.
type graphs struct {
	recording bool
	list      []*driver.Graph // nil where forgotten
}

// BeginCapture makes the operations that follow be recorded, not done, until EndCapture. Transfers, memory and Sync are
// errors meanwhile.
func (b *Backend) BeginCapture() error {
	if b.graphs.recording {
		return errors.New("record a graph: one is being recorded")
	}
	if b.timing != nil {
		return errors.New("record a graph: kernels are timed, one by one")
	}
	if b.err != nil {
		return fmt.Errorf("record a graph: the stream has failed: %w", b.err)
	}
	if err := b.stream.BeginCapture(); err != nil {
		return fmt.Errorf("record a graph: %w", err)
	}
	b.graphs.recording = true
	return nil
}

// EndCapture makes a graph of what was recorded and returns its number. Its operations read and write the tensors they
// were given, with the scalars they were given.
func (b *Backend) EndCapture() (int, error) {
	if !b.graphs.recording {
		return 0, errors.New("record a graph: none is being recorded")
	}
	b.graphs.recording = false
	g, err := b.stream.EndCapture()
	if b.err != nil {
		err, b.err = errors.Join(b.err, err), nil
		if g != nil {
			err = errors.Join(err, g.Close())
		}
	}
	if err != nil {
		return 0, fmt.Errorf("record a graph: %w", err)
	}
	b.graphs.list = append(b.graphs.list, g)
	return len(b.graphs.list) - 1, nil
}

// Replay queues a graph's operations.
func (b *Backend) Replay(graph int) {
	if b.err != nil {
		return
	}
	if graph < 0 || graph >= len(b.graphs.list) || b.graphs.list[graph] == nil {
		b.fail(fmt.Errorf("replay graph %d: there is none", graph))
		return
	}
	if err := b.graphs.list[graph].Launch(b.stream); err != nil {
		b.fail(fmt.Errorf("replay graph %d: %w", graph, err))
	}
}

// Forget destroys a graph.
func (b *Backend) Forget(graph int) {
	if graph < 0 || graph >= len(b.graphs.list) || b.graphs.list[graph] == nil {
		return
	}
	if err := b.graphs.list[graph].Close(); err != nil {
		b.fail(fmt.Errorf("forget graph %d: %w", graph, err))
	}
	b.graphs.list[graph] = nil
}
