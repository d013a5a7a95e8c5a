package cpu_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cpu"
	"forja/kernels/cpu/tier"
	"forja/kernels/kerneltest"
)

func openWith(threads int) (kernels.Backend, error) { return cpu.Open(cpu.Options{Threads: threads}) }

// The tier in use passes the whole suite, the others its small cases; FORJA_LONG=1 runs everything on all.
func TestBackendConforms(t *testing.T) {
	for _, level := range tier.All() {
		for _, threads := range []int{1, 3} {
			t.Run(level.String(), func(t *testing.T) {
				current := level == tier.Current()
				defer tier.Set(level)()
				open := func() (kernels.Backend, error) { return openWith(threads) }
				if os.Getenv("FORJA_LONG") == "1" || current && threads == 3 {
					kerneltest.Run(t, open)
				} else {
					kerneltest.RunSmall(t, open)
				}
			})
		}
	}
}

func TestResultsDoNotDependOnThreads(t *testing.T) {
	require.NoError(t, tier.Err())
	kerneltest.Deterministic(t, openWith)
}
