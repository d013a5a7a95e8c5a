package gemm

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAssemblyIsWhatTheGeneratorWrites(t *testing.T) {
	dir := t.TempDir()
	log, err := exec.Command("go", "run", "./gen", dir).CombinedOutput()
	require.NoError(t, err, "%s", log)
	files, err := filepath.Glob(filepath.Join(dir, "*.s"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Base(file))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s has drifted: run go generate ./...", filepath.Base(file))
	}
}
