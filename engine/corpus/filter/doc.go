// Package filter decides which documents are good enough to train on, and cleans what it keeps.
//
// It is the recipe of FineWeb (Penedo et al., 2024) in its order: block lists of URLs, language, the repetition and
// quality rules of Gopher (Rae et al., 2021, table A1), the line rules of C4 (Raffel et al., 2020) and FineWeb's own.
// Every threshold is a key of a recipe (recipe.Filter); [Default] holds the published ones. A [Checker] names the first rule that a
// document breaks, or with [Checker.Explain] the outcome of every rule. [Redact] replaces personal data and
// [Contamination] finds texts of evaluation sets.
//
// The recipe is made for English. The rules that count words split them at white space and punctuation, and in scripts
// without spaces at every letter, so their thresholds say little about Chinese or Thai; stop words come in the
// languages of [StopWordLanguages], and the rule is passed over in others.
//
// Deliberately absent: block lists, which are somebody else's and change daily; filters that are models.
package filter
