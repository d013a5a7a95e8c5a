// Package stats says what a corpus is made of: how many documents and how much text, in which languages, of what kinds, from
// where, of which years and under which licences, how long they are, and what the steps before left out and why.
//
// A [Collector] is fed with documents, or with the records of web archives, and keeps sums only: its memory does not grow
// with the corpus, and two of them can be merged. [Collect] feeds one from many files on all processors. [Steps] reads what
// the steps of the chain noted in their stores. A [Report] is all of it, as JSON and, by [Report.WritePage], as one page of
// HTML that needs nothing else.
//
// Names come from hostile pages. They are cut, and freed of what would move a terminal's cursor or turn its text around; the
// page escapes them.
//
// Deliberately absent: judgements of quality, which are the filters', and counts of duplicates, which need more memory than
// a sum: the report on deduplication has them.
package stats
