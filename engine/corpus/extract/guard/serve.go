package guard

import (
	"bufio"
	"errors"
	"io"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Exit codes of a child that its own watch ends.
const (
	codeMemory = 41
	codeTime   = 42
)

// maxRequest bounds what a child takes.
const maxRequest = 1 << 30

// Serve is a child's whole life: it answers requests until there are no more. It limits the process that it is called in, for good: its
// memory, its stack, and how dear it is to a system that runs out of memory. A watch calls exit, which must end the process, when
// a request is over its time or its memory, whether who asked is still there or not.
func Serve(in io.Reader, out io.Writer, limits Limits, exit func(code int), answer func(request []byte) []byte) error {
	limitProcess(limits.Memory)
	debug.SetMemoryLimit(limits.Memory / 4 * 3)
	debug.SetGCPercent(400)
	debug.SetMaxStack(32 << 20)
	var due atomic.Int64 // the processor time at which the request must be done; 0 is none
	done := make(chan struct{})
	defer close(done)
	go watch(limits, &due, done, exit)
	r, w := bufio.NewReaderSize(in, 1<<16), bufio.NewWriterSize(out, 1<<16)
	for {
		request, err := receive(r, maxRequest)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		due.Store(int64(processorTime() + limits.of(len(request))))
		err = send(w, answer(request))
		due.Store(0)
		if err := errors.Join(err, w.Flush()); err != nil {
			return err
		}
	}
}

func watch(limits Limits, due *atomic.Int64, done <-chan struct{}, exit func(code int)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	use := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if t := due.Load(); t != 0 && int64(processorTime()) > t {
			exit(codeTime)
		}
		metrics.Read(use)
		if use[0].Value.Uint64()-use[1].Value.Uint64() > uint64(limits.Memory) {
			exit(codeMemory)
		}
	}
}
