package interp

// postdominators gives every branch its immediate post-dominator: where lanes that part at it meet
// again (Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm", on the reversed graph).
func postdominators(code []instr) {
	n := len(code) // node n is the end of the kernel
	next := func(i int, visit func(j int)) {
		in := &code[i]
		switch in.kind {
		case branch:
			visit(in.to)
		case indirect:
			for _, t := range in.table {
				visit(t)
			}
		case ret:
			visit(n)
		default:
			visit(i + 1)
			return
		}
		if in.guard >= 0 {
			visit(i + 1)
		}
	}
	pred := make([][]int32, n+1)
	for i := range n {
		next(i, func(j int) { pred[j] = append(pred[j], int32(i)) })
	}
	order := postorder(pred)
	num := make([]int, n+1)
	for i := range num {
		num[i] = -1
	}
	for k, i := range order {
		num[i] = k
	}
	ip := make([]int, n+1)
	for i := range ip {
		ip[i] = -1
	}
	ip[n] = n
	meet := func(a, b int) int {
		for a != b {
			for num[a] < num[b] {
				a = ip[a]
			}
			for num[b] < num[a] {
				b = ip[b]
			}
		}
		return a
	}
	for changed := true; changed; {
		changed = false
		for k := len(order) - 2; k >= 0; k-- {
			i, d := order[k], -1
			next(i, func(j int) {
				switch {
				case ip[j] < 0:
				case d < 0:
					d = j
				default:
					d = meet(d, j)
				}
			})
			if ip[i] != d {
				ip[i], changed = d, true
			}
		}
	}
	for i := range code {
		code[i].join = ip[i]
		if ip[i] < 0 { // the end cannot be reached from here: never meet
			code[i].join = n
		}
	}
}

// postorder is a depth-first post-order of the graph from its last node, without recursion.
func postorder(succ [][]int32) []int {
	type visit struct{ node, edge int }
	seen := make([]bool, len(succ))
	var order []int
	last := len(succ) - 1
	seen[last] = true
	stack := []visit{{last, 0}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.edge == len(succ[top.node]) {
			order = append(order, top.node)
			stack = stack[:len(stack)-1]
			continue
		}
		j := int(succ[top.node][top.edge])
		top.edge++
		if !seen[j] {
			seen[j] = true
			stack = append(stack, visit{j, 0})
		}
	}
	return order
}
