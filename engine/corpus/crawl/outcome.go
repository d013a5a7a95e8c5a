package crawl

import "fmt"

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

func (o outcome) String() string {
	if o > 0 && o < outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}
