package shareddata_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/internal/shareddata"
)

func TestATestIsSkippedWhereItsDataIsAbsent(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FORJA_SHARED", dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data", "robots"), 0o755))
	assert.Equal(t, filepath.Join(dir, "data", "robots"), shareddata.Path(t, "robots"))
	fake := &recorder{TB: t}
	assert.PanicsWithValue(t, "skipped", func() { shareddata.Path(fake, "robots/none.json") })
	assert.Contains(t, fake.said, "no shared data")
}

// A recorder notes that a test was to be skipped.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}
func (r *recorder) Skipf(format string, _ ...any) {
	r.said = format
	panic("skipped")
}
