package store

import "time"

// PartSize is how much of an upload is sent at once.
const PartSize = partSize

// SetPatience changes for how long a bucket's service may be out of reach.
func SetPatience(s Store, d time.Duration) { s.(*bucket).patience = d }

// SetStall changes for how long connections made from now on may stand still; the result changes it back.
func SetStall(d time.Duration) func() {
	before := stall
	stall = d
	return func() { stall = before }
}
