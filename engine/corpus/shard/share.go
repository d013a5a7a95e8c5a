// Package shard divides the work on a corpus among processes, on one machine or many, that share nothing but two stores.
//
// Of every input file a [Map] makes one output file and then a marker, its [Report]. The k-th input of n shares belongs to
// share k mod n. Work is done when all markers are there: a process that was killed is started again, and does what has no
// marker yet, or whose file is gone. Since an output depends on its input and the settings only, it does no harm if two processes make the same.
//
// Deliberately absent: a coordinator, leases, and retries. Slurm, Kubernetes or a loop in a shell start processes better.
package shard

import (
	"fmt"
	"strconv"
	"strings"
)

// A Share is one of equal parts of the work: Index, from 0, of Of. The zero Share is all of it, too.
type Share struct{ Index, Of int }

// All is the whole work.
var All = Share{0, 1}

// Parse reads "3/100".
func Parse(s string) (Share, error) {
	i, of, ok := strings.Cut(s, "/")
	index, err1 := strconv.Atoi(i)
	parts, err2 := strconv.Atoi(of)
	if !ok || err1 != nil || err2 != nil || index < 0 || index >= parts {
		return Share{}, fmt.Errorf("share %q: want I/N with I from 0 to N-1, such as 0/8 or 7/8", s)
	}
	return Share{index, parts}, nil
}

func (s Share) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Of) }

// Has reports whether the k-th piece of work, from 0, belongs to the share.
func (s Share) Has(k int) bool { return s.Of == 0 || k%s.Of == s.Index }
