package interp_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
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

// harmlessOnHopper is harmless for these kernels. With a multiprocessor for every task, no block has a second one: nobody waits
// for the stages that are handed back at the end, the second of two stages may stay unused, and nothing is overwritten.
var harmlessOnHopper = map[string]int{
	"attention_sm90__d64: an mbarrier is not arrived at":               9,
	"attention_sm90__d64: stores are not waited for":                   1,
	"attention_grad_sm90__keys_d64: an mbarrier is not arrived at":     4,
	"attention_grad_sm90__keys_d64: an mbarrier is not initialised":    2,
	"attention_grad_sm90__keys_d64: products are not waited for":       1, // there is a later wait
	"attention_grad_sm90__keys_d64: stores are not waited for":         2,
	"attention_grad_sm90__queries_d64: an mbarrier is not arrived at":  5,
	"attention_grad_sm90__queries_d64: an mbarrier is not initialised": 2,
	"attention_grad_sm90__queries_d64: products are not waited for":    1, // there is a later wait
	"attention_grad_sm90__queries_d64: stores are not waited for":      1,
	"attention_grad_sm90__queries_d64: threads' writes are not fenced": 1, // of reads, before the next task
}

// Every other mistake in the attention of Hopper that ships is noticed: an error, or another result.
func TestMistakesInHopperKernelsAreCaught(t *testing.T) {
	planted := plantMistakes(t, 90, hopperMistakes, harmlessOnHopper, func(b *bench) { b.attention() })
	require.Greater(t, planted, 100)
}
