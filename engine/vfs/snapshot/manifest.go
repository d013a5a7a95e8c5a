package snapshot

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// ManifestName is the file that makes a directory a snapshot.
const ManifestName = "SHA256SUMS"

const (
	manifestHead  = "# forja snapshot 1\n"
	manifestLimit = 16 << 20 // bytes
)

// A Manifest lists the files of a snapshot, sorted by name.
//
//	# forja snapshot 1
//	# 12 bytes
//	<64 hexadecimal digits>  model.safetensors
//	# end <SHA-256 of everything above>
type Manifest struct {
	Files []File
}

// A File is one file of a snapshot.
type File struct {
	Name string
	Size int64
	Sum  [sha256.Size]byte // SHA-256
}

// newManifest sorts and checks the files.
func newManifest(files []File) (*Manifest, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	for i, f := range files {
		switch {
		case !fs.ValidPath(f.Name) || f.Name == "." || f.Name == ManifestName || strings.ContainsAny(f.Name, "\n\r\\"):
			return nil, fmt.Errorf("snapshot: a file cannot be called %q", f.Name)
		case f.Size < 0:
			return nil, fmt.Errorf("snapshot: file %s: negative size", f.Name)
		case i > 0 && files[i-1].Name == f.Name:
			return nil, fmt.Errorf("snapshot: two files are called %s", f.Name)
		}
	}
	return &Manifest{files}, nil
}

// File returns the file called name.
func (m *Manifest) File(name string) (f File, ok bool) {
	i, ok := slices.BinarySearchFunc(m.Files, name, func(f File, name string) int { return cmp.Compare(f.Name, name) })
	if !ok {
		return File{}, false
	}
	return m.Files[i], true
}

// Size is the sum of the files' sizes in bytes.
func (m *Manifest) Size() (total int64) {
	for _, f := range m.Files {
		total += f.Size
	}
	return total
}

// ID is a hexadecimal digest of all names, sizes and contents: two snapshots with the same ID are the same.
func (m *Manifest) ID() string {
	sum := sha256.Sum256(m.encode())
	return hex.EncodeToString(sum[:])
}

func (m *Manifest) encode() []byte {
	var b bytes.Buffer
	b.WriteString(manifestHead)
	for _, f := range m.Files {
		fmt.Fprintf(&b, "# %d bytes\n%x  %s\n", f.Size, f.Sum, f.Name)
	}
	h := newHash()
	h.Write(b.Bytes())
	fmt.Fprintf(&b, "# end %x\n", h.Sum(nil))
	return b.Bytes()
}

// parseManifest is the inverse of encode; any other bytes are an error.
func parseManifest(b []byte) (*Manifest, error) {
	rest, ok := strings.CutPrefix(string(b), manifestHead)
	if !ok {
		return nil, fmt.Errorf("does not start with %q", strings.TrimSpace(manifestHead))
	}
	var files []File
	for !strings.HasPrefix(rest, "# end ") {
		sizeLine, afterSize, ok1 := strings.Cut(rest, "\n")
		sumLine, afterSum, ok2 := strings.Cut(afterSize, "\n")
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("cut short after %d files", len(files))
		}
		f, err := parseFile(sizeLine, sumLine)
		if err != nil {
			return nil, fmt.Errorf("file %d: %w", len(files)+1, err)
		}
		files, rest = append(files, f), afterSum
	}
	m, err := newManifest(files)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(m.encode(), b) { // also finds a wrong order and a second way to write the same
		return nil, fmt.Errorf("its checksum does not match")
	}
	return m, nil
}

func parseFile(sizeLine, sumLine string) (f File, err error) {
	size, ok := strings.CutPrefix(sizeLine, "# ")
	size, ok2 := strings.CutSuffix(size, " bytes")
	if f.Size, err = strconv.ParseInt(size, 10, 64); err != nil || !ok || !ok2 {
		return f, fmt.Errorf("want a size, got %.80q", sizeLine)
	}
	sum, name, ok := strings.Cut(sumLine, "  ")
	if n, err := hex.Decode(f.Sum[:], []byte(sum[:min(len(sum), 2*len(f.Sum))])); err != nil || n != len(f.Sum) || !ok {
		return f, fmt.Errorf("want a checksum and a name, got %.80q", sumLine)
	}
	f.Name = name
	return f, nil
}
