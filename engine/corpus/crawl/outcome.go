package crawl

import (
	"fmt"
	"slices"
	"strings"

	"forja/engine/corpus/shard"
)

// An outcome is what came of a URL. The numbers are in files: new ones go to the end.
type outcome uint8

const (
	outcomeStored    outcome = iota + 1 // archived
	outcomeRevisit                      // archived as a copy of an earlier page
	outcomeUnchanged                    // not modified since an earlier crawl; archived as such
	outcomeList                         // a sitemap or feed
	outcomeRedirect                     // sends to another URL
	outcomeRobots                       // robots.txt forbids it
	outcomeNoStore                      // the page asks not to be stored
	outcomeType                         // not of a wanted type
	outcomeStatus                       // an error of the server's
	outcomeFailed                       // no answer, after all attempts
	outcomeHost                         // its host does not answer
	outcomeAddress                      // its address is not public
	outcomeEmpty                        // an empty body
	outcomeForeign                      // belongs to another share of the crawl
	outcomes
)

var outcomeNames = [outcomes]string{"", "stored", "copy", "unchanged", "sitemap or feed", "redirect", "robots.txt", "noindex", "type", "status", "no answer",
	"dead host", "private address", "empty", "other share"}

// again reports whether the next run on the same directory asks again: servers come back, and a network may be allowed then.
func (o outcome) again() bool { return o == outcomeFailed || o == outcomeHost || o == outcomeAddress }

func (o outcome) String() string {
	if o > 0 && o < outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// Report is a crawl as the first step of a chain: of the URLs that were dealt with, pages are kept that were archived whole, not
// as copies of others.
func (p Progress) Report() shard.Report {
	r := shard.Report{Step: "crawl"}
	for o, name := range outcomeNames {
		n := int64(p.Outcomes[name])
		switch r.Read.Documents += n; {
		case outcome(o) == outcomeStored:
			r.Kept.Documents = n
		case n > 0:
			r.Dropped = append(r.Dropped, shard.Drop{Reason: "crawl/" + name, Count: shard.Count{Documents: n}, Samples: []string{}})
		}
	}
	slices.SortFunc(r.Dropped, func(a, b shard.Drop) int { return strings.Compare(a.Reason, b.Reason) })
	r.Note("URLs queued", int64(p.Queued))
	r.Seconds = p.Elapsed.Seconds()
	return r
}
