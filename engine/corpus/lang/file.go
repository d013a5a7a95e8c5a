package lang

import (
	"bufio"
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
)

//go:embed model.bin
var embedded []byte

// Default is the model that comes with forja. It is unpacked when it is first asked for.
var Default = sync.OnceValue(func() *Model {
	m, err := Read(bytes.NewReader(embedded))
	if err != nil { // a test reads it
		panic(err)
	}
	return m
})

const magic = "forja languages 1\n"

// Write writes a model: a line that says what it is, the languages on another, the softness as a little-endian float64,
// and the weights by language and row, a byte each, compressed by DEFLATE.
func (m *Model) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s%s\n", magic, strings.Join(m.languages, " "))
	if err := binary.Write(b, binary.LittleEndian, m.softness); err != nil {
		return err
	}
	z, err := flate.NewWriter(b, flate.BestCompression)
	if err != nil {
		return err
	}
	column := make([]byte, len(m.rows))
	for l := range m.languages {
		for row := range m.rows {
			column[row] = byte(m.rows[row][l/8] >> (l % 8 * 8))
		}
		if _, err := z.Write(column); err != nil {
			return err
		}
	}
	return errors.Join(z.Close(), b.Flush())
}

// Read reads a model that [Model.Write] wrote.
func Read(r io.Reader) (*Model, error) {
	b := bufio.NewReaderSize(r, 4096)
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(b, head); err != nil || string(head) != magic {
		return nil, errors.New("not a model of languages")
	}
	names, err := b.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("model of languages: names: %w", err)
	}
	languages := strings.Fields(string(names))
	if len(languages) == 0 || len(languages) > maxLanguages {
		return nil, fmt.Errorf("model of %d languages: want 1 to %d", len(languages), maxLanguages)
	}
	m := newModel(languages)
	if err := binary.Read(b, binary.LittleEndian, &m.softness); err != nil || !(m.softness >= 0.1 && m.softness < math.MaxFloat32) {
		return nil, errors.New("model of languages: no softness")
	}
	z := flate.NewReader(b)
	defer z.Close()
	column := make([]byte, len(m.rows))
	for l, name := range languages {
		if _, err := io.ReadFull(z, column); err != nil {
			return nil, fmt.Errorf("model of languages: weights of %s: %w", name, err)
		}
		for row, weight := range column {
			if weight > maxWeight {
				return nil, fmt.Errorf("model of languages: a weight of %d for %s: want at most %d", weight, name, maxWeight)
			}
			m.set(row, l, weight)
		}
	}
	return m, nil
}
