// Package lang tells in which language a text is written.
//
// It is a naive Bayes classifier of character n-grams of 1 to 4 (Cavnar and Trenkle, 1994; Dunning, 1994) that are hashed
// to 65,536 rows of one weight for each language. A row is one cache line, and rows are added eight weights to a machine
// word. [Default] is trained by the program in gen on translations in Debian's packages and knows 64 languages.
//
// Deliberately absent: dialects and scripts of one language, such as Portuguese of Portugal and of Brazil, or Chinese in
// simplified and in traditional characters; Serbian in Latin letters, which comes out as Croatian; documents of several
// languages, of which the most frequent is told.
package lang
