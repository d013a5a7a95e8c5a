package gen

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// letters decodes id to the byte of the same value.
type letters struct{}

func (letters) Push(id int32) string { return string(rune(id)) }
func (letters) Flush() string        { return "" }

func stream(text string, stops ...string) (out string, steps int) {
	s := NewStream(letters{}, stops)
	for _, r := range text {
		steps++
		more, done := s.Push(r)
		out += more
		if done {
			return out, steps
		}
	}
	return out + s.Flush(), steps
}

func TestStreamEndsBeforeAStopText(t *testing.T) {
	out, steps := stream("hello END world", "END")
	assert.Equal(t, "hello ", out)
	assert.Equal(t, len("hello END"), steps)
	out, _ = stream("aababc", "abc", "zz")
	assert.Equal(t, "aab", out)
	out, _ = stream("x\n\nUser: hi", "\nUser:", "\n\n\n")
	assert.Equal(t, "x\n", out)
}

func TestStreamReleasesWhatWasNoStopText(t *testing.T) {
	out, _ := stream("ENDE EN", "ENDED")
	assert.Equal(t, "ENDE EN", out)
	out, _ = stream("olá, é", "éa")
	assert.Equal(t, "olá, é", out)
}
