package optim

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSchedulesReachPeakAfterWarmupAndFinalAtTheEnd(t *testing.T) {
	for _, kind := range []string{"cosine", "wsd", "linear"} {
		s := Schedule{Kind: kind, Peak: 1e-3, Final: 0.1, Warmup: 10, Cooldown: 20, Steps: 100}
		assert.NoError(t, s.Validate())
		assert.InDelta(t, 1e-4, s.At(0), 1e-12, kind)
		assert.InDelta(t, 1e-3, s.At(9), 1e-12, kind)
		assert.InDelta(t, 1e-4, s.At(99), 1e-12, kind)
		assert.InDelta(t, 1e-4, s.At(1000), 1e-12, kind)
		for i := 11; i < 100; i++ {
			assert.LessOrEqual(t, s.At(i), s.At(i-1), "%s does not rise after the warm-up", kind)
		}
	}
}

func TestStablePhaseHoldsThePeak(t *testing.T) {
	s := Schedule{Kind: "wsd", Peak: 2, Final: 0, Warmup: 5, Cooldown: 10, Steps: 50}
	assert.Equal(t, 2.0, s.At(5))
	assert.Equal(t, 2.0, s.At(39))
	assert.InDelta(t, 1.8, s.At(40), 1e-12)
	assert.Zero(t, s.At(49))
	assert.Equal(t, 2.0, Schedule{Kind: "constant", Peak: 2, Steps: 5}.At(4))
}

func TestImpossibleSchedulesAreRefused(t *testing.T) {
	assert.ErrorContains(t, Schedule{Kind: "cosin"}.Validate(), "cosin")
	assert.ErrorContains(t, Schedule{Kind: "wsd", Warmup: 6, Cooldown: 5, Steps: 10}.Validate(), "longer than the run")
}
