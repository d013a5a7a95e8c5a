// Package dedup finds documents that say the same thing: exactly, as documents, paragraphs or lines ([Exact]), or nearly,
// by MinHash and locality-sensitive hashing (Broder, 1997; Leskovec et al., Mining of Massive Datasets, chapter 3).
//
// A [Signer] makes of a document one key a band: a hash of the least values that a few hash functions take on the
// document's word n-grams. Documents that share a key are candidates; with b bands of r rows two documents of
// similarity s become candidates with probability 1-(1-s^r)^b. An [Index] sorts the keys, on disk where they do not fit in
// memory, has candidates verified by the Jaccard similarity of their n-grams, and joins them to clusters. [Run] does all
// of it for a stream of documents. The result does not depend on the number of workers or on the memory.
//
// The parameters are FineWeb's, 14 bands of 8 rows over 5-grams, and so is the normalisation; the hash functions are
// not, so signatures cannot be mixed with those of other programs.
//
// Deliberately absent: suffix arrays, which find repeated passages at many times the cost; embeddings.
package dedup

import "fmt"

// Config says what is nearly the same.
type Config struct {
	NGram  int     // words
	Bands  int     // keys of a document
	Rows   int     // hash functions a key is made of
	Seed   uint64  // of the hash functions
	Verify float64 // least Jaccard similarity of two documents that are joined; 0 joins all candidates
}

// Default is FineWeb's configuration, with candidates verified at the similarity where half of the probability's rise
// lies, (1/14)^(1/8) = 0.72.
func Default() Config { return Config{NGram: 5, Bands: 14, Rows: 8, Seed: 1, Verify: 0.72} }

// Validate refuses what makes no sense.
func (c Config) Validate() error {
	switch {
	case c.NGram < 1 || c.NGram > 100:
		return fmt.Errorf("n-grams of %d words: want 1 to 100", c.NGram)
	case c.Bands < 1 || c.Rows < 1 || c.Bands > 4096 || c.Rows > 4096 || c.Bands*c.Rows > 4096:
		return fmt.Errorf("%d bands of %d rows: want at least one of each, and at most 4096 hash functions", c.Bands, c.Rows)
	case !(c.Verify >= 0 && c.Verify <= 1):
		return fmt.Errorf("verify at a similarity of %g: want 0 to 1", c.Verify)
	}
	return nil
}
