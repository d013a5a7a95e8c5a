package graph

// Ancestors are all values that y is computed from.
func Ancestors(y *Node) map[*Node]bool {
	seen := map[*Node]bool{}
	var walk func(*Node)
	walk = func(n *Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		if n.call != nil {
			for _, in := range n.call.In {
				walk(in)
			}
		}
	}
	walk(y)
	return seen
}

// OutputNamed finds an output.
func (g *Graph) OutputNamed(name string) *Node {
	for _, n := range g.outputs {
		if n.Name == name {
			return n
		}
	}
	return nil
}
