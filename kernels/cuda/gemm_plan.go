package cuda

import (
	"math"
	"strings"

	"forja/kernels"
)

// A gemmTile is a kernel for products in each layout.
type gemmTile struct {
	name    string
	kernels [3]kernelID // by layout
	m, n, k int         // the tile of out that a block makes, and the step of k that it takes
	shared  int         // bytes of dynamic shared memory
	blocks  int         // on a multiprocessor at a time
	single  bool        // true f32, else bf16 through tensor cores
	free    bool        // operands may lie anywhere
	hopper  bool        // for sm_90a: persistent blocks, operands through tensor maps
	cluster int         // blocks that share operands, neighbours along m; 0 means 1
	turns   bool        // two tiles are made at a time, one stored while the other is computed
	rate    float64     // share of the arithmetic's peak in long runs: measured, or else an estimate
}

// A gemmPlan is how a product is made.
type gemmPlan struct {
	tile   *gemmTile
	splits int // slices of k that are summed apart, and then added in order
}

// tiles80 run everywhere. Their rates are estimates from other implementations of the same design.
var tiles80 = []gemmTile{
	{name: "sync 128x256", kernels: [3]kernelID{gemmNT128x256, gemmNN128x256, gemmTN128x256}, m: 128, n: 256, k: 32,
		shared: 3 * (128 + 256) * 64, blocks: 1, rate: 0.80},
	{name: "sync 128x128", kernels: [3]kernelID{gemmNT128x128, gemmNN128x128, gemmTN128x128}, m: 128, n: 128, k: 32,
		shared: 4 * (128 + 128) * 64, blocks: 2, rate: 0.75},
	{name: "sync 64x64", kernels: [3]kernelID{gemmNT64x64, gemmNN64x64, gemmTN64x64}, m: 64, n: 64, k: 32,
		shared: 4 * (64 + 64) * 64, blocks: 4, rate: 0.50},
	{name: "any", kernels: [3]kernelID{gemmNTAny, gemmNNAny, gemmTNAny}, m: 64, n: 64, k: 32,
		shared: 2 * (64 + 64) * 64, blocks: 4, free: true, rate: 0.15},
	{name: "f32 128x128", kernels: [3]kernelID{gemmf32NT128x128, gemmf32NN128x128, gemmf32TN128x128}, m: 128, n: 128, k: 8,
		blocks: 2, single: true, free: true, rate: 0.80},
	{name: "f32 64x64", kernels: [3]kernelID{gemmf32NT64x64, gemmf32NN64x64, gemmf32TN64x64}, m: 64, n: 64, k: 16,
		blocks: 3, single: true, free: true, rate: 0.55},
}

// A card is what the choice of tiles knows of one: its data sheet, the architecture's peak rates for each multiprocessor, and
// estimates of the second-level cache.
type card struct {
	name   string  // how the driver's name for it begins
	clock  float64 // cycles in a second
	sync   float64 // bf16 operations in a cycle and multiprocessor through mma.sync
	group  float64 // the same through wgmma
	single float64 // f32 operations in a cycle and multiprocessor
	l2     float64 // bytes in a cycle and multiprocessor from the second-level cache
	memory float64 // bytes in a second
	cache  float64 // bytes of the second-level cache
}

// cards are tried in order. wgmma alone reaches Hopper's peak; mma.sync about five eighths of it.
var cards = []card{
	{"NVIDIA H200", 1.83e9, 2560, 4096, 256, 40, 4.8e12, 50e6},
	{"NVIDIA H100 PCIe", 1.60e9, 2560, 4096, 256, 40, 2.0e12, 50e6},
	{"NVIDIA H100", 1.83e9, 2560, 4096, 256, 40, 3.35e12, 50e6},
	{"NVIDIA A100", 1.41e9, 2048, 2048, 128, 40, 1.8e12, 40e6},
	{"", 1.70e9, 1024, 1024, 256, 30, 0.9e12, 24e6}, // GeForce and what is to come
}

// cardOf finds the figures of a card by its name. Simulated ones are like the card that they are named after.
func cardOf(name string, hopper bool) *card {
	for i := range cards {
		if strings.HasPrefix(name, cards[i].name) && cards[i].name != "" {
			return &cards[i]
		}
	}
	if hopper {
		return cardOf("NVIDIA H100", hopper)
	}
	return &cards[len(cards)-1]
}

// plan chooses tile and slices by a model of the time that they take. It depends on the product and the card alone: the same
// product is always made the same way.
func (b *Backend) plan(p *product) gemmPlan {
	best, least := gemmPlan{}, math.Inf(1)
	b.plans(p, func(how gemmPlan) {
		if s := b.figures().seconds(p, how.tile, how.splits, b.sms); s < least {
			best, least = how, s
		}
	})
	return best
}

// plans calls f with every way to make a product.
func (b *Backend) plans(p *product, f func(gemmPlan)) {
	_, work := b.work()
	for _, list := range b.tiles() {
		for i := range list {
			t := &list[i]
			if !b.suits(t, p) {
				continue
			}
			f(gemmPlan{t, 1})
			for splits := 2; worthSplitting(p, t, splits, work); splits++ {
				if sliceOf(p.k, t.k, splits)*(splits-1) < p.k { // else the last slice would be empty
					f(gemmPlan{t, splits})
				}
			}
		}
	}
}

// tiles are the lists of kernels that the device may use.
func (b *Backend) tiles() [][]gemmTile {
	if b.hopper {
		return [][]gemmTile{tiles90, tiles80}
	}
	return [][]gemmTile{tiles80}
}

func (b *Backend) figures() *card { return cardOf(b.info.Name, b.hopper) }

// suits reports whether a kernel can make a product.
func (b *Backend) suits(t *gemmTile, p *product) bool {
	if t.single {
		return p.a.DType == kernels.F32 || p.b.DType == kernels.F32
	}
	if p.a.DType != kernels.BF16 || p.b.DType != kernels.BF16 {
		return false
	}
	const copied = 16 // bytes, by one cp.async or as the unit of a tensor map
	straight := b.divides(copied, p.a) && b.divides(copied, p.b)
	if t.hopper {
		return straight && p.k > 0 && b.suitsHopper(p)
	}
	return straight != t.free
}

// worthSplitting bounds the number of slices: by working memory, by one round of blocks, and by what there is to sum.
func worthSplitting(p *product, t *gemmTile, splits, work int) bool {
	const most, shortest = 64, 4 // slices; steps of one
	return splits <= most && splits*p.m*aligned(p.n, 4)*4 <= work && ceilDiv(p.k, t.k) >= shortest*splits
}

// finishing is about how many instructions the epilogue takes for an element of out, counted on the simulator.
func (p *product) finishing(splits int) float64 {
	n := 5.0
	if splits > 1 {
		return n // partial sums
	}
	for _, part := range []struct {
		there bool
		n     float64
	}{
		{!p.bias.Nil(), 2}, {!p.residual.Nil(), 6}, {!p.pre.Nil() && !p.gradient, 4}, {p.act != kernels.NoActivation, 9}, {p.gradient, 10},
	} {
		if part.there {
			n += part.n
		}
	}
	return n
}

// seconds is about how long a product takes.
//
// A multiprocessor works on its share of the tiles at the speed of the arithmetic or of the second-level cache, whichever
// is slower, and the last round of tiles is as long as the others. Memory is read once and written once at least. To that come
// the filling of pipelines and the epilogue, which tiles that take turns hide, and for slices their way through memory and
// another launch.
func (c *card) seconds(p *product, t *gemmTile, splits, sms int) float64 {
	const (
		fill    = 700  // cycles from the start of a tile to its first product, and from the last to the epilogue
		turn    = 200  // cycles from one tile to the next where they take turns
		issue   = 90   // instructions of threads in a cycle of an epilogue
		single  = 58   // the same in the epilogue of one of two warpgroups
		launch  = 2e-6 // seconds
		segment = 0.9  // of the memory's bandwidth
	)
	peak, size := c.sync, 2
	if t.hopper {
		peak = c.group
	}
	if t.single {
		peak, size = c.single, 4
	}
	cluster := max(t.cluster, 1)
	share := ceilDiv(ceilDiv(p.m, t.m*cluster)*cluster*ceilDiv(p.n, t.n)*splits, sms)
	steps := ceilDiv(ceilDiv(p.k, t.k), splits)
	flops := 2 * float64(t.m*t.n*t.k)
	loads := float64((t.m + t.n/cluster) * t.k * size)
	step := math.Max(flops/(peak*t.rate), loads/c.l2)
	alone := 1 + 0.5*float64(max(t.blocks-share, 0))/float64(t.blocks) // fewer blocks hide less
	round, leave := step*float64(steps)*alone, float64(t.m*t.n)*p.finishing(splits)
	cycles := (round + (fill+leave/issue)/float64(min(t.blocks, share))) * float64(share)
	if t.turns {
		leave = leave/single + turn
		cycles = math.Max(round+turn, (round+leave)/2)*float64(share) + fill + leave
	}
	seconds := cycles / c.clock
	area := p.m * p.n
	traffic := float64(p.m*p.k*p.a.DType.Size()+p.n*p.k*p.b.DType.Size()+area*p.out.DType.Size()) / (segment * c.memory)
	seconds = math.Max(seconds, traffic) + launch
	if splits > 1 {
		slices, rate := float64(splits)*float64(area)*4, segment*c.memory
		if slices < c.cache/2 {
			rate = c.l2 * c.clock * float64(sms) / 2
		}
		seconds += launch + 2*slices/rate
	}
	return seconds
}
