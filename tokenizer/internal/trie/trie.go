// Package trie finds the keys that a text starts with, one table look-up for
// each byte: a double array (Aoe 1989).
//
// Deliberately absent: changes after it is built.
package trie

import (
	"cmp"
	"math/bits"
	"slices"
)

// Root is the node of the empty string.
const Root int32 = 0

// A Trie maps byte strings to numbers.
type Trie struct{ nodes []node }

type node struct {
	base   int32 // child c is at base+c
	parent int32 // -1: the slot is free
	value  int32 // -1: not the end of a key
}

// Build makes a trie of keys; that of key i has the value values[i], which must
// not be negative. Of equal keys the last counts, empty keys do not.
func Build(keys []string, values []int32) *Trie {
	order := make([]int32, 0, len(keys))
	for i, key := range keys {
		if key != "" {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(keys[a], keys[b]) })
	b := builder{keys: keys, values: values, order: order}
	b.grow(1024)
	b.nodes[Root].parent = Root
	b.place(Root, 0, len(order), 0)
	b.nodes = append(b.nodes, make([]node, 256)...) // so that base+c needs no check
	for i := len(b.nodes) - 256; i < len(b.nodes); i++ {
		b.nodes[i] = node{parent: -1, value: -1}
	}
	return &Trie{slices.Clip(b.nodes)}
}

// Next returns the child of a node for a byte; false if there is none.
func (t *Trie) Next(at int32, c byte) (int32, bool) {
	next := t.nodes[at].base + int32(c)
	return next, t.nodes[next].parent == at && next != Root
}

// Value is the value of the key that ends at a node, -1 if none does.
func (t *Trie) Value(at int32) int32 { return t.nodes[at].value }

type builder struct {
	nodes  []node
	keys   []string
	values []int32
	order  []int32 // of keys, sorted
	starts [9]int  // where to look for room, by the logarithm of the number of children
}

func (b *builder) grow(n int) {
	for len(b.nodes) < n {
		b.nodes = append(b.nodes, node{parent: -1, value: -1})
	}
}

// place lays out the children of the node of order[from:to], whose keys share
// their first depth bytes.
func (b *builder) place(at int32, from, to, depth int) {
	for from < to && len(b.keys[b.order[from]]) == depth {
		b.nodes[at].value = b.values[b.order[from]]
		from++
	}
	if from == to {
		return
	}
	type child struct {
		label    byte
		from, to int
	}
	var children []child
	for i := from; i < to; {
		label, start := b.keys[b.order[i]][depth], i
		for i < to && b.keys[b.order[i]][depth] == label {
			i++
		}
		children = append(children, child{label, start, i})
	}
	var labels [256]byte
	for i, c := range children {
		labels[i] = c.label
	}
	base := b.findBase(labels[:len(children)])
	b.nodes[at].base = base
	for _, c := range children {
		b.nodes[base+int32(c.label)] = node{parent: at, value: -1}
	}
	for _, c := range children {
		b.place(base+int32(c.label), c.from, c.to, depth+1)
	}
}

// findBase finds room for children with these labels, which are ascending.
// Where it looks first depends on how many there are: few fit nearly anywhere,
// many only where it is empty.
func (b *builder) findBase(labels []byte) int32 {
	start := &b.starts[bits.Len(uint(len(labels)-1))]
	tries := 0
	for slot := max(*start, 1+int(labels[0])); ; slot++ {
		b.grow(slot + 257)
		tries++
		if b.nodes[slot].parent >= 0 {
			continue
		}
		base := slot - int(labels[0])
		fits := true
		for _, label := range labels[1:] {
			if b.nodes[base+int(label)].parent >= 0 {
				fits = false
				break
			}
		}
		if fits {
			if tries > 64 || len(labels) == 1 {
				*start = slot // what is before it rarely fits
			}
			return int32(base)
		}
	}
}

// Longest returns the length and the value of the longest key that s starts
// with, 0 if there is none.
func (t *Trie) Longest(s string) (n int, value int32) {
	at := Root
	for i := range len(s) {
		next, ok := t.Next(at, s[i])
		if !ok {
			break
		}
		at = next
		if v := t.Value(at); v >= 0 {
			n, value = i+1, v
		}
	}
	return n, value
}
