package interp_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// hopperMistakes are bugs in how a kernel uses the asynchronous parts of a Hopper multiprocessor.
var hopperMistakes = []mistake{
	{"threads' writes are not fenced", regexp.MustCompile(`fence\.proxy\.async[^;]*;`), ""},
	{"mbarriers are not fenced", regexp.MustCompile(`fence\.mbarrier_init[^;]*;`), ""},
	{"an mbarrier is not initialised", regexp.MustCompile(`mbarrier\.init[^;]*;`), ""},
	{"an mbarrier is not arrived at", regexp.MustCompile(`mbarrier\.arrive[^;]*;`), ""},
	{"an mbarrier expects bytes but nobody arrives", regexp.MustCompile(`mbarrier\.arrive\.expect_tx\.shared::cta\.b64 _,`), "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 "},
	{"wgmma is not fenced", regexp.MustCompile(`wgmma\.fence[^;]*;`), ""},
	{"products are not committed", regexp.MustCompile(`wgmma\.commit_group[^;]*;`), ""},
	{"products are not waited for", regexp.MustCompile(`wgmma\.wait_group[^;]*;`), ""},
	{"stores are not committed", regexp.MustCompile(`cp\.async\.bulk\.commit_group;`), ""},
	{"stores are not waited for", regexp.MustCompile(`cp\.async\.bulk\.wait_group[^;]*;`), ""},
	{"a barrier of the cluster is missing", regexp.MustCompile(`barrier\.cluster\.arrive[^;]*;[^;]*barrier\.cluster\.wait[^;]*;`), ""},
}

var harmlessOnHopper = map[string]int{}

func TestMistakesInHopperKernelsAreCaught(t *testing.T) {
	planted := plantMistakes(t, 90, hopperMistakes, harmlessOnHopper, func(b *bench) {
		d := kernels.BF16
		x, w, dy := b.random(d, 300, 448), b.random(d, 136, 448), b.random(d, 300, 136)
		b.Linear(b.empty(d, 300, 136), x, w, kernels.Epilogue{})
		b.LinearDX(b.empty(d, 300, 448), dy, w, kernels.Epilogue{})
		b.LinearDW(b.empty(kernels.F32, 136, 448), dy, x, 1, false)
		b.attention()
	})
	require.Greater(t, planted, 100)
}
