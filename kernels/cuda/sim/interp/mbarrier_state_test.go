package interp

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func mustBarrier(t require.TestingT, count int) *mbarrier {
	m, err := newMbarrier(0x400, count)
	require.NoError(t, err)
	return m
}

func TestMbarrierCompletesWhenArrivalsAndBytesAreIn(t *testing.T) {
	m := mustBarrier(t, 2)
	require.False(t, m.waitParity(0))
	require.True(t, m.waitParity(1), "the phase before the first counts as complete")
	require.NoError(t, m.expect(96))
	done, err := m.arrive(1)
	require.NoError(t, err)
	require.False(t, done)
	done, err = m.arrive(1)
	require.NoError(t, err)
	require.False(t, done, "bytes are missing")
	done, err = m.transact(64, 0)
	require.NoError(t, err)
	require.False(t, done)
	done, err = m.transact(32, 0)
	require.NoError(t, err)
	require.True(t, done)
	require.True(t, m.waitParity(0))
	require.False(t, m.waitParity(1))
	require.Equal(t, 2, m.pending)
}

func TestMbarrierBytesMayComeBeforeTheyAreExpected(t *testing.T) {
	m := mustBarrier(t, 1)
	done, err := m.transact(128, 0)
	require.NoError(t, err)
	require.False(t, done)
	require.Equal(t, -128, m.tx)
	require.NoError(t, m.expect(128))
	done, err = m.arrive(1)
	require.NoError(t, err)
	require.True(t, done)
}

func TestMbarrierRefusesWhatIsUndefined(t *testing.T) {
	_, err := newMbarrier(0, 0)
	require.ErrorContains(t, err, "0 expected arrivals")
	_, err = newMbarrier(0, 1<<20)
	require.ErrorContains(t, err, "expected arrivals")
	m := mustBarrier(t, 2)
	_, err = m.arrive(3)
	require.ErrorContains(t, err, "more than are pending")
	_, err = m.arrive(0)
	require.ErrorContains(t, err, "arrival count 0")
	require.ErrorContains(t, m.expect(1<<20), "the count ends")
	_, err = m.transact(1<<20, 0)
	require.ErrorContains(t, err, "the count ends")
	_, err = m.arrive(2)
	require.NoError(t, err)
	_, err = m.arrive(1)
	require.ErrorContains(t, err, "before any wait has seen")
	require.True(t, m.waitParity(0))
	_, err = m.arrive(1)
	require.NoError(t, err)
	_, err = m.transact(16, 0)
	require.ErrorContains(t, err, "expected too few bytes")
	_, err = m.drop(3)
	require.ErrorContains(t, err, "dropping 3 of 2")
}

func TestMbarrierTokensNameTheirPhase(t *testing.T) {
	m := mustBarrier(t, 1)
	first := m.token()
	_, err := m.arrive(1)
	require.NoError(t, err)
	done, err := m.waitToken(first)
	require.NoError(t, err)
	require.True(t, done)
	second := m.token()
	done, err = m.waitToken(second)
	require.NoError(t, err)
	require.False(t, done)
	_, err = m.arrive(1)
	require.NoError(t, err)
	_, err = m.waitToken(first)
	require.ErrorContains(t, err, "neither the current nor the one before it")
	_, err = m.waitToken(0)
	require.ErrorContains(t, err, "no state")
	other := &mbarrier{at: 0x408}
	_, err = other.waitToken(second)
	require.ErrorContains(t, err, "no state")
}

func TestMbarrierDropLowersLaterPhases(t *testing.T) {
	m := mustBarrier(t, 3)
	done, err := m.drop(1)
	require.NoError(t, err)
	require.False(t, done)
	done, err = m.arrive(2)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, 2, m.pending)
}

// A barrier against a model that keeps lists instead of counts.
func TestMbarrierAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "arrivals")
		m := mustBarrier(t, n)
		arrived, expected, landed, phase := 0, 0, 0, uint32(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				m.waitParity(m.phase + 1)
				if _, err := m.arrive(1); err != nil {
					t.Fatal(err)
				}
				arrived++
			case 1:
				if arrived == n { // the phase is open for bytes only
					continue
				}
				if err := m.expect(16); err != nil {
					t.Fatal(err)
				}
				expected++
			case 2:
				if landed == expected {
					continue
				}
				if _, err := m.transact(16, phase); err != nil {
					t.Fatal(err)
				}
				landed++
			}
			if arrived == n && landed == expected {
				arrived, landed, expected = 0, 0, 0
				phase++
			}
			if m.phase != phase || m.pending != n-arrived || m.tx != 16*(expected-landed) {
				t.Fatalf("%v; want phase %d, %d arrivals, %d bytes", m, phase, n-arrived, 16*(expected-landed))
			}
			if arrived == n {
				for ; landed < expected; landed++ {
					if _, err := m.transact(16, phase); err != nil {
						t.Fatal(err)
					}
				}
				arrived, landed, expected = 0, 0, 0
				phase++
			}
		}
	})
}
