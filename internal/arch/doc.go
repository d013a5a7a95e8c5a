// Package arch holds the rules of the code's structure as tests: what may import what, where side effects are allowed,
// how long a file may be. It has no code of its own. ARCHITECTURE.md gives the reasons.
package arch
