// Package shareddata finds the test data that is too large, or under too many licences, to stand in the repository.
//
// Deliberately absent: the data's formats, which the tests know.
package shareddata

import (
	"os"
	"path/filepath"
	"testing"
)

// Path is a file or folder of the shared data: below data in the folder that FORJA_SHARED names, or else in the folder shared
// beside the module. A test for which it is absent is skipped; .ci/run knows such skips by these words, and fails if the data is there.
func Path(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("FORJA_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dir != filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(filepath.Dir(dir), "shared")
	}
	path := filepath.Join(root, "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no shared data: %s is not there; FORJA_SHARED names the folder that holds data", path)
	}
	return path
}
