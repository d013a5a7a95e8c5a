// Package recipe turns a strict YAML file and dotted command-line overrides into typed, checked settings.
//
// A recipe is the only description of a run: every flag of a training verb is a recipe key
// (--optim.learning_rate 3e-4), read by the same parser and refused with the same words, and the resolved recipe
// written beside the run reproduces it. Whatever is not plainly right is refused before anything starts, with the
// file, line and column, the line itself, and what to write instead: unknown and duplicate keys, wrong types,
// fractions where whole numbers belong, leading zeros, tabs, anchors, tags, second documents.
//
//	r, err := recipe.Parse("tiny.yaml", text) // syntax, keys, types, ranges
//	err = r.Set("optim.learning_rate", "3e-4") // a flag
//	err = r.Resolve()                          // defaults that depend on other keys, rules across keys
//	os.Stdout.Write(r.Marshal())               // complete, in a fixed order
//
// A recipe with `stages:` is a graph of stages; the sections at its top level are defaults for all of them, and a path
// value "@stage/sub/path" points into another stage's directory.
//
// Deliberately absent: variables, includes, environment lookups, anchors (a recipe is read by people), and anything
// that needs a model, a device or a file: "auto" values are filled in by the packages that know.
package recipe
