package safetensors

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"forja/engine/vfs"
)

const (
	suffix      = ".safetensors"
	indexSuffix = suffix + ".index.json"
)

// A Set is a group of tensors in one file, or in several that an index ties together.
type Set struct {
	files   []*File
	closers []io.Closer
	tensors []located // sorted by name
}

type located struct {
	name string
	file *File
}

// OpenDir opens the model in a directory: model.safetensors, or the files of model.safetensors.index.json.
func OpenDir(fsys vfs.FS, dir string) (*Set, error) { return OpenSet(fsys, dir, "model") }

// OpenSet opens base.safetensors or, if there is none, the files of base.safetensors.index.json. Without either the error is
// [fs.ErrNotExist], and says so if there are pickles instead.
func OpenSet(fsys vfs.FS, dir, base string) (*Set, error) {
	s := &Set{}
	single := path.Join(dir, base+suffix)
	f, err := s.open(fsys, single)
	if errors.Is(err, fs.ErrNotExist) {
		err = s.openIndexed(fsys, dir, base+indexSuffix)
		if errors.Is(err, errNoIndex) {
			err = missing(fsys, dir, base)
		}
	} else if err == nil {
		for _, t := range f.tensors {
			s.tensors = append(s.tensors, located{t.Name, f})
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open opens one file and remembers it.
func (s *Set) open(fsys vfs.FS, name string) (*File, error) {
	r, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, r)
	f, err := Open(r, r.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fsys.Path(name), err)
	}
	s.files = append(s.files, f)
	return f, nil
}

// errNoIndex tells a missing index from a missing shard.
var errNoIndex = errors.New("no index")

func (s *Set) openIndexed(fsys vfs.FS, dir, indexName string) error {
	index := path.Join(dir, indexName)
	text, err := vfs.ReadFile(fsys, index, maxHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoIndex
	}
	if err != nil {
		return err
	}
	weights, err := parseIndex(text)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", fsys.Path(index), ErrFormat, err)
	}
	opened := map[string]*File{}
	for _, w := range weights {
		f := opened[w.file]
		if f == nil {
			if f, err = s.open(fsys, path.Join(dir, w.file)); err != nil {
				return fmt.Errorf("a file of %s: %w", fsys.Path(index), err)
			}
			opened[w.file] = f
		}
		if _, ok := f.Tensor(w.tensor); !ok {
			return fmt.Errorf("%s: %w: %s has no tensor %q", fsys.Path(index), ErrFormat, w.file, w.tensor)
		}
		s.tensors = append(s.tensors, located{w.tensor, f})
	}
	total := 0
	for _, f := range s.files {
		total += len(f.tensors)
	}
	if total != len(weights) {
		return fmt.Errorf("%s: %w: it lists %d tensors, its files have %d", fsys.Path(index), ErrFormat, len(weights), total)
	}
	return nil
}

// missing explains that there is nothing to open.
func missing(fsys vfs.FS, dir, base string) error {
	err := fmt.Errorf("no %s and no %s in %s: %w", base+suffix, base+indexSuffix, fsys.Path(dir), fs.ErrNotExist)
	entries, listErr := fsys.ReadDir(dir)
	if listErr != nil {
		return listErr
	}
	for _, e := range entries {
		switch path.Ext(e.Name()) {
		case ".bin", ".pt", ".pth", ".ckpt", ".pkl":
			return fmt.Errorf("%w: %s looks like a pickle: %s", err, e.Name(), pickleHint)
		}
	}
	return err
}

// A weight is an entry of an index's weight_map.
type weight struct{ tensor, file string }

// parseIndex reads {"metadata":{…},"weight_map":{"tensor":"file",…}} and returns the map, sorted by tensor.
func parseIndex(text []byte) (weights []weight, err error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("not UTF-8")
	}
	s := &scanner{text: text}
	seen := false
	if err := s.object(func(key string) error {
		if key != "weight_map" {
			return s.skip(16)
		}
		if seen {
			return s.fail("two weight_map")
		}
		seen = true
		return s.object(func(tensor string) error {
			if len(weights) == 16*maxTensors {
				return s.fail("more than %d tensors", 16*maxTensors)
			}
			file, err := s.string()
			if err != nil {
				return err
			}
			if !fs.ValidPath(file) || strings.ContainsAny(file, `/\`) || !strings.HasSuffix(file, suffix) {
				return s.fail("tensor %.200q is in %.200q: want the name of a %s file beside the index", tensor, file, suffix)
			}
			weights = append(weights, weight{tensor, file})
			return nil
		})
	}); err != nil {
		return nil, err
	}
	if s.peek(); s.pos != len(text) {
		return nil, s.unexpected("nothing after the object")
	}
	if !seen {
		return nil, fmt.Errorf("no weight_map")
	}
	slices.SortFunc(weights, func(a, b weight) int { return cmp.Compare(a.tensor, b.tensor) })
	for i := 1; i < len(weights); i++ {
		if weights[i-1].tensor == weights[i].tensor {
			return nil, fmt.Errorf("two entries for tensor %.200q", weights[i].tensor)
		}
	}
	return weights, nil
}

// Close closes all files.
func (s *Set) Close() error {
	var err error
	for _, c := range s.closers {
		err = errors.Join(err, c.Close())
	}
	s.closers = nil
	return err
}

// Names returns the names of all tensors, sorted.
func (s *Set) Names() []string {
	names := make([]string, len(s.tensors))
	for i, t := range s.tensors {
		names[i] = t.name
	}
	return names
}

// Metadata returns the free strings of the first file.
func (s *Set) Metadata() map[string]string {
	if len(s.files) == 0 {
		return nil
	}
	return s.files[0].metadata
}

func (s *Set) find(name string) (*File, error) {
	i, ok := slices.BinarySearchFunc(s.tensors, name, func(t located, name string) int { return cmp.Compare(t.name, name) })
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNoTensor, name)
	}
	return s.tensors[i].file, nil
}

// Tensor returns what is known about a tensor; the offset is in its own file.
func (s *Set) Tensor(name string) (t Info, ok bool) {
	f, err := s.find(name)
	if err != nil {
		return Info{}, false
	}
	return f.Tensor(name)
}

// ReadTensor is [File.ReadTensor].
func (s *Set) ReadTensor(name string, dst []byte) error {
	f, err := s.find(name)
	if err != nil {
		return err
	}
	return f.ReadTensor(name, dst)
}

// ReadF32 is [File.ReadF32].
func (s *Set) ReadF32(name string, dst []float32) error {
	f, err := s.find(name)
	if err != nil {
		return err
	}
	return f.ReadF32(name, dst)
}

// Section is [File.Section].
func (s *Set) Section(name string) (*io.SectionReader, error) {
	f, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return f.Section(name)
}
