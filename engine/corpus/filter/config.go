package filter

import "forja/engine/recipe"

// Version changes when the same settings come to other verdicts or texts than before.
const Version = 1

// Config holds the threshold of every rule, as a recipe names them. Zero turns a rule off.
type Config struct {
	recipe.Filter
	Lists *Lists // of URLs; nil blocks none
}

// Default is FineWeb's recipe.
func Default() Config { return Config{Filter: recipe.New("").Filter} }
