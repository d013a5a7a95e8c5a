package cpu_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cpu"
	"forja/kernels/cpu/tier"
	"forja/kernels/kerneltest"
)

func openWith(threads int) (kernels.Backend, error) { return cpu.Open(cpu.Options{Threads: threads}) }

// The tier in use passes the whole suite with several threads; the others, and one thread, its small cases. FORJA_LONG=1
// runs everything on all tiers.
func TestBackendConforms(t *testing.T) {
	for _, level := range tier.All() {
		whole := level == tier.Current() || os.Getenv("FORJA_LONG") == "1"
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%v, %d threads", level, threads), func(t *testing.T) {
				defer tier.Set(level)()
				open := func() (kernels.Backend, error) { return openWith(threads) }
				if whole && threads > 1 {
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
