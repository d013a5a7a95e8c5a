// Package graph records a computation once, differentiates it, plans its memory and replays it.
//
// A model is an ordinary Go function that calls methods of [Graph]; running it records calls of coarse operations on
// [Node] values. [Graph.Backward] appends the reverse pass. [Graph.Compile] drops what nobody reads, finds each value's
// lifetime and gives it a place in one arena: a [Plan], whose bytes are exact. A [Session] owns the named storage
// ([Var]: parameters, gradients, moments, inputs, caches) and one arena as large as the largest of its plans; it binds
// a plan to a [Step], which replays a fixed list of kernel launches, allocating nothing and deciding nothing.
//
//	g := graph.New()
//	xMC := g.Embed(wte, tok)
//	yMC := g.Linear(g.RMSNorm(xMC, norm, 1e-6), w, graph.LinearOptions{Residual: xMC})
//	logp, _, _ := g.LinearLogProb(yMC, head, nil, tgt, graph.LogProbOptions{Vocab: 50257})
//	g.Output("logp", logp)
//	g.Backward(params, graph.Cotangent{Of: logp, Is: g.Leaf(dlogp), Known: true})
//	plan, err := g.Compile(graph.Options{})
//
// Errors are sticky, name the model's own file:line and surface in Compile. Execution order is recording order.
//
// Deliberately absent: control flow in the graph, shapes that change within a plan, pattern fusion by a compiler,
// second derivatives (an error, never a silent zero), and dtypes chosen by models: a value has the dtype of what it is
// computed from, and that of parameters is set in one place.
package graph
