package data

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

// TestAPowerLossLeavesAWholeSetOrNone rebuilds a set and loses power before
// every single operation: what is found then is the old set, the new one, or none.
func TestAPowerLossLeavesAWholeSetOrNone(t *testing.T) {
	o := BuildOptions{Format: byteFormat(-1, endID), ShardTokens: 3, Workers: 1}
	before, after := texts("aa", "bb", "cc"), texts("dd", "ee")
	died := errors.New("power loss")
	found := map[string]int{}
	for n := 0; ; n++ {
		mem := vfs.NewMem()
		_, err := Build(context.Background(), mem, "set", before, byteEncoder{}, o)
		require.NoError(t, err)
		left := n
		mem.Hook = func(op vfs.Op, _ string) error {
			if op.Writes() {
				left--
			}
			if left < 0 {
				return died
			}
			return nil
		}
		_, err = Build(context.Background(), mem, "set", after, byteEncoder{}, o)
		mem.Hook = nil
		done := err == nil
		for seed := range uint64(8) {
			set, err := Open(mem.Crash(rand.New(rand.NewPCG(uint64(n), seed)), 0.5), "set")
			if err != nil {
				require.False(t, done, "a finished set is gone: %v", err)
				found["none"]++
				continue
			}
			require.NoError(t, set.Verify(), "a set that opens is whole")
			ids := all(t, set)
			switch ids[0] {
			case 'a':
				require.Equal(t, []int32{'a', 'a', endID, 'b', 'b', endID, 'c', 'c', endID}, ids)
				require.False(t, done)
				found["old"]++
			default:
				require.Equal(t, []int32{'d', 'd', endID, 'e', 'e', endID}, ids)
				found["new"]++
			}
			set.Close()
		}
		if done {
			break
		}
	}
	require.Len(t, found, 3, "%v", found)
}
