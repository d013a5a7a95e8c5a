package gen

import "strings"

// A Decoder turns ids into text and never splits a character: see tokenizer.Decoder.
type Decoder interface {
	Push(id int32) string
	Flush() string
}

// A Stream is the text of a completion as it grows, up to the first of its stop texts. It holds back what might be the
// beginning of one.
type Stream struct {
	decoder Decoder
	stops   []string
	held    string
	stopped bool
}

// NewStream returns a stream that ends before any of stops.
func NewStream(d Decoder, stops []string) *Stream {
	s := &Stream{decoder: d}
	for _, x := range stops {
		if x != "" {
			s.stops = append(s.stops, x)
		}
	}
	return s
}

// Push adds a token and returns the text that has become certain. done says that a stop text has come.
func (s *Stream) Push(id int32) (text string, done bool) {
	if s.stopped {
		return "", true
	}
	return s.add(s.decoder.Push(id))
}

// Flush returns what is left at the end of a completion.
func (s *Stream) Flush() string {
	if s.stopped {
		return ""
	}
	text, _ := s.add(s.decoder.Flush())
	text += s.held
	s.held = ""
	return text
}

func (s *Stream) add(more string) (text string, done bool) {
	s.held += more
	first := -1
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		text, s.held, s.stopped = s.held[:first], "", true
		return text, true
	}
	keep := 0 // the longest end of held that begins a stop text
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
			}
		}
	}
	text, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return text, false
}
