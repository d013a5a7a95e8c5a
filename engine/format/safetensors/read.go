// Package safetensors reads and writes the safetensors format, single files and sharded sets.
//
// Weights, optimizer state and adapters travel in it, because it is data and nothing else. The reader is strict: everything the
// specification forbids is an error, and nothing is allocated on the word of a header. Files that the writer makes are
// byte for byte those of the reference implementation. Sources: the format's README and safetensors/src/tensor.rs.
//
// Deliberately absent: pickles (.bin, .pt), which are programs; they are refused with a hint. Also memory mapping, and
// arithmetic on anything but f32, bf16 and f16.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrFormat is what errors.Is finds when bytes are not a valid file.
var ErrFormat = errors.New("not a valid safetensors file")

// ErrNoTensor is what errors.Is finds when a file has no tensor of that name.
var ErrNoTensor = errors.New("no such tensor")

// Info describes a tensor in a file. Elements are little-endian, in C order.
type Info struct {
	Name   string
	DType  DType
	Shape  []int // empty for a scalar
	Offset int64 // of the first byte, from the start of the file
	Size   int64 // bytes
}

// Elements is the number of elements.
func (t Info) Elements() int64 { return t.Size * 8 / int64(t.DType.Bits()) }

// A File is an open file. It is safe for concurrent use if its reader is.
type File struct {
	r        io.ReaderAt
	tensors  []Info // sorted by name
	metadata map[string]string
}

// Open reads and checks the header of a file of the given size in bytes. The caller closes r.
func Open(r io.ReaderAt, size int64) (*File, error) {
	var start [8]byte
	if size < int64(len(start)) {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, size)
	}
	if _, err := readFull(r, start[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	n := binary.LittleEndian.Uint64(start[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, notOurs(start[:], n, size)
	}
	text := make([]byte, n)
	if _, err := readFull(r, text, 8); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	base := 8 + int64(n)
	tensors, metadata, err := parseHeader(text, base, size-base)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	return &File{r, tensors, metadata}, nil
}

// notOurs explains a header length that cannot be, which is how other formats look.
func notOurs(start []byte, n uint64, size int64) error {
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), start[0] == 0x80 && start[1] <= 5:
		return fmt.Errorf("%w: it is a pickle: %s", ErrFormat, pickleHint)
	case bytes.HasPrefix(start, []byte("GGUF")):
		return fmt.Errorf("%w: it is a GGUF file", ErrFormat)
	case bytes.Equal(start, []byte("version ")):
		return fmt.Errorf("%w: it is a Git LFS pointer: fetch the file itself, with git lfs pull", ErrFormat)
	case n > maxHeader:
		return fmt.Errorf("%w: a header of %d bytes, at most %d", ErrFormat, n, maxHeader)
	default:
		return fmt.Errorf("%w: a header of %d bytes in a file of %d: cut short?", ErrFormat, n, size)
	}
}

const pickleHint = "loading one can run any program, so forja never does; convert it to safetensors where you trust it, with " +
	"model.save_pretrained(dir, safe_serialization=True)"

// readFull is ReadAt, with the end of the file as an error only if bytes are missing.
func readFull(r io.ReaderAt, b []byte, off int64) (int, error) {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Metadata returns the free strings of the header; callers must not change them.
func (f *File) Metadata() map[string]string { return f.metadata }

// Names returns the names of all tensors, sorted.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns what is known about a tensor.
func (f *File) Tensor(name string) (t Info, ok bool) {
	i, ok := slices.BinarySearchFunc(f.tensors, name, func(t Info, name string) int { return cmp.Compare(t.Name, name) })
	if !ok {
		return Info{}, false
	}
	return f.tensors[i], true
}

// ReadTensor fills dst with the bytes of a tensor; its length must be the tensor's size.
func (f *File) ReadTensor(name string, dst []byte) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("%w: %q", ErrNoTensor, name)
	}
	if int64(len(dst)) != t.Size {
		return fmt.Errorf("read tensor %q: %d bytes wanted, it has %d", name, len(dst), t.Size)
	}
	return f.readAt(t, dst, 0)
}

// Section returns a reader of the bytes of a tensor, for those who do not want them all at once.
func (f *File) Section(name string) (*io.SectionReader, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNoTensor, name)
	}
	return io.NewSectionReader(f.r, t.Offset, t.Size), nil
}

// ReadF32 fills dst with a tensor of type F32, BF16 or F16, converted exactly; its length must be the number of elements.
func (f *File) ReadF32(name string, dst []float32) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("%w: %q", ErrNoTensor, name)
	}
	if !t.DType.float() {
		return fmt.Errorf("read tensor %q as f32: it is %v, want F32, BF16 or F16", name, t.DType)
	}
	if int64(len(dst)) != t.Elements() {
		return fmt.Errorf("read tensor %q: %d elements wanted, it has %v = %d", name, len(dst), t.Shape, t.Elements())
	}
	width := t.DType.Bits() / 8
	buf := make([]byte, min(int(t.Size), chunkBytes))
	for done := 0; done < len(dst); {
		n := min(len(dst)-done, len(buf)/width)
		b := buf[:n*width]
		if err := f.readAt(t, b, int64(done*width)); err != nil {
			return err
		}
		if err := DecodeF32(dst[done:done+n], b, t.DType); err != nil {
			return err
		}
		done += n
	}
	return nil
}

func (f *File) readAt(t Info, b []byte, off int64) error {
	if _, err := readFull(f.r, b, t.Offset+off); err != nil {
		return fmt.Errorf("read tensor %q: %w", t.Name, err)
	}
	return nil
}
