package cpu

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

const (
	cacheLine    = 64
	fallbackName = runtime.GOARCH + " processor"
)

// scratch is working memory of one worker. It grows to what the largest operation needs and stays.
type scratch struct {
	memory []float32
	used   int
	held   *atomic.Int64 // counts the bytes of all scratch of a Backend
	_      [cacheLine]byte
}

// reset makes all memory available again and returns s. What floats returned before must not be used any more.
func (s *scratch) reset() *scratch {
	s.used = 0
	return s
}

// floats is room for n elements, aligned to a cache line, with undefined content.
func (s *scratch) floats(n int) []float32 {
	const line = cacheLine / 4
	room := (n + line - 1) &^ (line - 1)
	if s.used+room > len(s.memory) {
		s.grow(room)
	}
	x := s.memory[s.used : s.used+n : s.used+room]
	s.used += room
	return x
}

// zeros is floats, cleared.
func (s *scratch) zeros(n int) []float32 {
	x := s.floats(n)
	clear(x)
	return x
}

// doubles is zeros for float64.
func (s *scratch) doubles(n int) []float64 {
	x := s.zeros(2 * n)
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(x))), n)
}

// ints is floats for indices.
func (s *scratch) ints(n int) []int32 {
	x := s.floats(n)
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(x))), n)
}

// words is floats for unsigned words.
func (s *scratch) words(n int) []uint32 {
	x := s.floats(n)
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), n)
}

// grow replaces the memory by a larger one. Slices handed out keep the old one alive.
func (s *scratch) grow(room int) {
	const line = cacheLine / 4
	size := max(2*len(s.memory), s.used+room, 1<<14)
	s.held.Add(int64(size-len(s.memory)) * 4)
	memory := make([]float32, size+line)
	skip := -int(uintptr(unsafe.Pointer(&memory[0]))/4) & (line - 1)
	s.memory, s.used = memory[skip:skip+size], 0
}
