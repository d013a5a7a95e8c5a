package driver

import (
	"errors"
	"unsafe"
)

// A Graph is recorded work that is queued by one call.
type Graph struct {
	c     *Context
	exec  uintptr
	nodes int
}

// BeginCapture makes the stream record its work instead of doing it. Until EndCapture nothing may wait for the stream.
// The mode is relaxed: a kernel may be loaded while the stream records.
func (s *Stream) BeginCapture() error {
	const relaxed = 2
	return s.c.api.call(fnStreamBeginCapture, s.handle, relaxed)
}

// EndCapture ends the recording and makes a graph of it. A call that is not allowed while a stream records makes it fail.
func (s *Stream) EndCapture() (*Graph, error) {
	api := s.c.api
	var graph uintptr
	if err := api.call(fnStreamEndCapture, s.handle, uintptr(unsafe.Pointer(&graph))); err != nil {
		return nil, err
	}
	g := &Graph{c: s.c}
	var nodes uintptr
	err := api.call(fnGraphGetNodes, graph, 0, uintptr(unsafe.Pointer(&nodes)))
	if err == nil {
		err = api.call(fnGraphInstantiate, uintptr(unsafe.Pointer(&g.exec)), graph, 0)
	}
	if err = errors.Join(err, api.call(fnGraphDestroy, graph)); err != nil {
		return nil, err
	}
	g.nodes = int(nodes)
	s.c.born(aGraph, g.exec, 0)
	return g, nil
}

// Nodes is the number of operations in the graph.
func (g *Graph) Nodes() int { return g.nodes }

// Launch queues the graph's work.
func (g *Graph) Launch(s *Stream) error {
	g.c.args[0], g.c.args[1] = g.exec, s.handle
	return g.c.fast(fnGraphLaunch, 2)
}

// Close destroys the graph.
func (g *Graph) Close() error {
	if err := g.c.dies(aGraph, g.exec); err != nil {
		return err
	}
	return g.c.api.call(fnGraphExecDestroy, g.exec)
}
