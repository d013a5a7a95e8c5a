package safetensors

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Limits of what is read. With them, reading a header takes at most twice its size and 16 MiB.
const (
	maxHeader   = 100_000_000 // bytes, as the reference has it
	maxTensors  = 1 << 16
	maxMetadata = 1 << 14 // entries
)

const metadataName = "__metadata__"

// parseHeader reads the JSON of a header and checks it against the number of bytes that follow. The tensors are sorted by name,
// with offsets that count from base.
func parseHeader(text []byte, base, bodySize int64) (tensors []Info, metadata map[string]string, err error) {
	if !utf8.Valid(text) {
		return nil, nil, fmt.Errorf("not UTF-8")
	}
	if len(text) == 0 || text[0] != '{' {
		return nil, nil, fmt.Errorf("does not start with {")
	}
	s := &scanner{text: text}
	tensors = make([]Info, 0, min(maxTensors, bytes.Count(text, []byte(`"dtype"`))))
	if err := s.object(func(name string) error {
		if name == metadataName {
			if metadata != nil {
				return s.fail("two %s", metadataName)
			}
			metadata = map[string]string{}
			return s.metadata(metadata)
		}
		if len(tensors) == maxTensors {
			return s.fail("more than %d tensors", maxTensors)
		}
		info, err := s.info()
		if err != nil {
			return fmt.Errorf("tensor %.200q: %w", name, err)
		}
		info.Name = name
		tensors = append(tensors, info)
		return nil
	}); err != nil {
		return nil, nil, err
	}
	for ; s.pos < len(text); s.pos++ {
		if text[s.pos] != ' ' {
			return nil, nil, s.fail("want only spaces after the object, got %q", text[s.pos])
		}
	}
	if err := checkCover(tensors, bodySize); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(tensors, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	for i := range tensors {
		tensors[i].Offset += base
		if i > 0 && tensors[i-1].Name == tensors[i].Name {
			return nil, nil, fmt.Errorf("two tensors are called %.200q", tensors[i].Name)
		}
	}
	return tensors, metadata, nil
}

// metadata reads an object of strings.
func (s *scanner) metadata(into map[string]string) error {
	return s.object(func(key string) error {
		if _, ok := into[key]; ok {
			return s.fail("two entries %.200q in %s", key, metadataName)
		}
		if len(into) == maxMetadata {
			return s.fail("more than %d entries in %s", maxMetadata, metadataName)
		}
		value, err := s.string()
		into[key] = value
		return err
	})
}

// info reads the description of a tensor, without its name.
func (s *scanner) info() (info Info, err error) {
	var begin, end int64
	var seen [3]bool
	once := func(i int, key string) error {
		if seen[i] {
			return s.fail("two %s", key)
		}
		seen[i] = true
		return nil
	}
	err = s.object(func(key string) error {
		switch key {
		case "dtype":
			if err := once(0, key); err != nil {
				return err
			}
			name, err := s.string()
			if err != nil {
				return err
			}
			info.DType, err = parseDType(name)
			return err
		case "shape":
			if err := once(1, key); err != nil {
				return err
			}
			info.Shape, err = s.shape()
			return err
		case "data_offsets":
			if err := once(2, key); err != nil {
				return err
			}
			begin, end, err = s.pair()
			return err
		default:
			return s.fail("unknown key %.40q", key)
		}
	})
	if err != nil {
		return info, err
	}
	for i, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[i] {
			return info, s.fail("no %s", key)
		}
	}
	size, err := byteSize(info.DType, info.Shape)
	if err != nil {
		return info, err
	}
	if end < begin || end-begin != size {
		return info, fmt.Errorf("data_offsets [%d,%d] do not fit %v %v, which has %d bytes", begin, end, info.DType, info.Shape, size)
	}
	info.Offset, info.Size = begin, size
	return info, nil
}

func (s *scanner) shape() ([]int, error) {
	var dims [maxRank]int
	rank := 0
	err := s.array(func() error {
		if rank == maxRank {
			return s.fail("more than %d dimensions", maxRank)
		}
		dim, err := s.integer()
		if err != nil {
			return err
		}
		if int64(int(dim)) != dim {
			return s.fail("dimension %d is too large for this machine", dim)
		}
		dims[rank] = int(dim)
		rank++
		return nil
	})
	return append([]int{}, dims[:rank]...), err
}

func (s *scanner) pair() (begin, end int64, err error) {
	n := 0
	err = s.array(func() (err error) {
		switch n++; n {
		case 1:
			begin, err = s.integer()
		case 2:
			end, err = s.integer()
		default:
			err = s.fail("want two offsets")
		}
		return err
	})
	if err == nil && n != 2 {
		err = s.fail("want two offsets")
	}
	return begin, end, err
}

// checkCover sorts the tensors by offset and checks that they cover the body without a hole or an overlap.
func checkCover(tensors []Info, bodySize int64) error {
	slices.SortFunc(tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	at := int64(0)
	for _, t := range tensors {
		if t.Offset != at {
			return fmt.Errorf("tensor %.200q starts at byte %d of the data, want %d: a hole or an overlap", t.Name, t.Offset, at)
		}
		at += t.Size // cannot overflow: end = begin + size was read as an int64
	}
	if at != bodySize {
		return fmt.Errorf("the tensors have %d bytes, the file has %d: cut short or not complete", at, bodySize)
	}
	return nil
}
