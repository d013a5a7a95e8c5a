package snapshot

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A manifest that parses is written exactly one way.
func FuzzManifest(f *testing.F) {
	m, err := newManifest([]File{{Name: "b", Size: 12}, {Name: "a/c", Size: 1 << 40, Sum: [32]byte{1, 2}}})
	require.NoError(f, err)
	good := m.encode()
	f.Add(good)
	f.Add((&Manifest{}).encode())
	f.Add(good[:len(good)/2])
	f.Add(bytes.Replace(good, []byte(" 12 "), []byte(" 012 "), 1))
	f.Add(bytes.ToUpper(good))
	f.Add([]byte(manifestHead + "# 1 bytes\n\n# end"))
	f.Add([]byte(manifestHead + "# 99999999999999999999 bytes\n0  x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err == nil {
			assert.Equal(t, string(b), string(m.encode()))
		}
	})
}
