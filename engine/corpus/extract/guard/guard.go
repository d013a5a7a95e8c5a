// Package guard does work on bytes that nobody trusts in child processes with limits of time and memory: a parser that hangs,
// crashes, or eats all memory costs the file that it was given, and nothing else.
//
// A child is any program that calls [Serve] on its standard input and output. It does one request after the other; one that
// fails is killed, and the next request gets a new one. Messages are bytes behind their length (eight bytes, little-endian).
// A child inherits no environment.
//
// Deliberately absent: keeping a child from files and the network (what runs in it is Go, whose memory safety stands in the way of
// code from a file), several requests in one child at a time, and other machines.
package guard

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Limits of one request.
type Limits struct {
	Time   time.Duration // of processors, so that a busy machine fails no request; by the clock, [patience] times as long
	PerMiB time.Duration // more time for each of the request
	Memory int64         // bytes that the child has for data
	Answer int64         // bytes of an answer
}

var (
	// ErrTime is of a request that took too long.
	ErrTime = errors.New("took too long")
	// ErrMemory is of a request that needed too much memory.
	ErrMemory = errors.New("needed too much memory")
	// ErrCrash is of a child that ended, or answered something else than asked.
	ErrCrash = errors.New("crashed")
)

// patience is by how much a request may outlast its processor time.
const patience = 10

// of returns how long a request of so many bytes may take.
func (l Limits) of(size int) time.Duration { return l.Time + time.Duration(size>>20)*l.PerMiB }

// A Pool gives requests to children, each of which does one at a time. It is safe for concurrent use.
type Pool struct {
	command []string
	limits  Limits
	slots   chan *child // nil: to be started
}

// New makes a pool of at most n children, which are started when they are needed, by the command. The children must have been told
// the same limits.
func New(command []string, n int, limits Limits) *Pool {
	p := &Pool{command: command, limits: limits, slots: make(chan *child, n)}
	for range n {
		p.slots <- nil
	}
	return p
}

// Do returns the answer to a request, or an error that is one of this package's. Whether an answer is an error of another kind
// is between the caller and the child.
func (p *Pool) Do(ctx context.Context, request []byte) (answer []byte, err error) {
	var c *child
	select {
	case c = <-p.slots:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { p.slots <- c }()
	for {
		used := c != nil
		if !used {
			if c, err = start(p.command); err != nil {
				return nil, fmt.Errorf("cannot start %s: %w", p.command[0], err)
			}
		}
		answer, err = c.ask(ctx, request, p.limits)
		if err == nil {
			return answer, nil
		}
		c.kill()
		c = nil
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !used || errors.Is(err, ErrTime) {
			return nil, err
		}
		// What earlier requests left in its memory may be why: a new child tells.
	}
}

// Close ends the children. Nothing may use the pool any more.
func (p *Pool) Close() {
	for range cap(p.slots) {
		if c := <-p.slots; c != nil {
			c.kill()
		}
	}
}

// A child is a running process.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said *beginning
}

func start(command []string) (*child, error) {
	c := &child{cmd: exec.Command(command[0], command[1:]...), said: &beginning{}}
	c.cmd.Env = []string{"GOTRACEBACK=single"}
	c.cmd.Stderr = c.said
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReaderSize(out, 1<<16)
	if err = c.cmd.Start(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *child) ask(ctx context.Context, request []byte, limits Limits) (answer []byte, err error) {
	kill := func() { _ = c.cmd.Process.Kill() } // an error says that it has ended
	limit := limits.of(len(request))
	late := time.AfterFunc(patience*limit, kill)
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	sent := make(chan struct{})
	go func() { // a child that reads nothing must not keep the answer waiting
		defer close(sent)
		_ = send(c.in, request) // the answer's error tells
	}()
	answer, err = receive(c.out, limits.Answer)
	inTime := late.Stop()
	if err != nil {
		kill()
	}
	<-sent
	switch {
	case err == nil:
		return answer, nil
	case !inTime:
		return nil, fmt.Errorf("%w: more than %v by the clock", ErrTime, patience*limit)
	case errors.Is(err, errLong):
		return nil, fmt.Errorf("%w: %w", ErrCrash, err)
	}
	return nil, c.reason(limits, limit)
}

// reason waits for a child that ended by itself, and says why it did.
func (c *child) reason(limits Limits, limit time.Duration) error {
	wait := time.AfterFunc(time.Second, func() { _ = c.cmd.Process.Kill() })
	defer wait.Stop()
	err := c.cmd.Wait()
	said := c.said.String()
	switch state := c.cmd.ProcessState; {
	case state != nil && state.ExitCode() == codeMemory, outOfMemory.MatchString(said),
		// Go's runtime trips in many ways over memory that it was refused.
		!itsOwnFault.MatchString(said) && peak(state) > limits.Memory/4*3:
		return fmt.Errorf("%w: more than %d MiB", ErrMemory, limits.Memory>>20)
	case state != nil && state.ExitCode() == codeTime:
		return fmt.Errorf("%w: more than %v of processor time", ErrTime, limit)
	}
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" {
			return fmt.Errorf("%w: %s", ErrCrash, line)
		}
	}
	if err == nil {
		return fmt.Errorf("%w: it ended without an answer", ErrCrash)
	}
	return fmt.Errorf("%w: %w", ErrCrash, err)
}

var (
	outOfMemory = regexp.MustCompile(`(?i)out of memory|cannot allocate memory`)
	itsOwnFault = regexp.MustCompile(`(?m)^panic: |stack overflow|stack exceeds`)
)

// kill ends a child and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // an error says that it has ended
	_ = c.in.Close()
	_ = c.cmd.Wait()
}

// A beginning keeps the first bytes that are written to it: the rest of a crash is stacks.
type beginning struct {
	mu sync.Mutex
	b  []byte
}

func (b *beginning) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b = append(b.b, p[:min(len(p), 4096-len(b.b))]...)
	return len(p), nil
}

func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.b)
}

var errLong = errors.New("a message is longer than it may be")

func send(w io.Writer, b []byte) error {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
	if _, err := w.Write(n[:]); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// receive reads a message. Memory is taken as bytes come, not as the length says.
func receive(r io.Reader, most int64) ([]byte, error) {
	var n [8]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint64(n[:])
	if size > uint64(most) {
		return nil, fmt.Errorf("%w: %d bytes of %d", errLong, size, most)
	}
	b := make([]byte, 0, min(size, 1<<20))
	for uint64(len(b)) < size {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(size, 4*uint64(cap(b)))), b...)
		}
		k, err := r.Read(b[len(b):min(uint64(cap(b)), size)])
		if b = b[:len(b)+k]; err != nil && uint64(len(b)) < size {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return b, nil
}
