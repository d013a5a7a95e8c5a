package interp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func matrixMap() TensorMap {
	return TensorMap{
		Type: TensorBF16, Rank: 2, Address: 0x1000, Dim: [5]uint64{640, 100}, Stride: [4]uint64{1280},
		Box: [5]uint32{64, 128}, ElementStride: [5]uint32{1, 1}, Swizzle: 3,
	}
}

func TestTensorMapSurvivesItsEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := TensorMap{
			Type:    TensorType(rapid.Uint32Range(0, uint32(tensorTypes)-1).Draw(t, "type")),
			Rank:    rapid.Uint32Range(1, 5).Draw(t, "rank"),
			Address: 16 * rapid.Uint64Range(1, 1<<40).Draw(t, "address"), L2Promotion: rapid.Uint32Range(0, 3).Draw(t, "promotion"),
		}
		for i := range m.Rank {
			m.Dim[i] = rapid.Uint64Range(1, 1<<32).Draw(t, "dim")
			m.Box[i] = rapid.Uint32Range(1, 8).Draw(t, "box")
			m.ElementStride[i] = 1
			if i > 0 {
				m.Stride[i-1] = 16 * rapid.Uint64Range(0, 1<<20).Draw(t, "stride")
			}
		}
		m.Box[0] = uint32(16 / m.Type.Size() * rapid.IntRange(1, 4).Draw(t, "chunks"))
		if m.Type.isFloat() {
			m.OOBFill = rapid.Uint32Range(0, 1).Draw(t, "fill")
		}
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeTensorMap(&b)
		if err != nil {
			t.Fatal(err)
		}
		for i := m.Rank; i < 5; i++ {
			back.ElementStride[i] = 0
		}
		if back != m {
			t.Fatalf("%+v came back as %+v", m, back)
		}
	})
}

func TestTensorMapIsCheckedAsTheDriverChecksIt(t *testing.T) {
	for _, x := range []struct {
		change func(m *TensorMap)
		want   string
	}{
		{func(m *TensorMap) { m.Type = tensorTypes }, "unknown data type 13"},
		{func(m *TensorMap) { m.Rank = 0 }, "rank 0"},
		{func(m *TensorMap) { m.Rank = 6 }, "rank 6"},
		{func(m *TensorMap) { m.Address += 8 }, "global address 0x1008 is not a multiple of 16"},
		{func(m *TensorMap) { m.Address = 0 }, "global address"},
		{func(m *TensorMap) { m.Dim[1] = 0 }, "dimension 1 has 0 elements"},
		{func(m *TensorMap) { m.Dim[0] = 1<<32 + 1 }, "dimension 0"},
		{func(m *TensorMap) { m.Stride[0] = 1288 }, "stride 1288 bytes"},
		{func(m *TensorMap) { m.Stride[0] = 1 << 40 }, "stride"},
		{func(m *TensorMap) { m.Rank, m.Stride[0], m.Dim[1] = 2, 1<<39, 1<<32 }, "address space"},
		{func(m *TensorMap) { m.Box[1] = 257 }, "box has 257 elements"},
		{func(m *TensorMap) { m.Box[0] = 0 }, "box has 0 elements"},
		{func(m *TensorMap) { m.Box[0], m.Swizzle = 12, 0 }, "24 bytes of the box's dimension 0 are not a multiple of 16"},
		{func(m *TensorMap) { m.Box[0] = 128 }, "256 bytes of the box's dimension 0 exceed the swizzle of 128"},
		{func(m *TensorMap) { m.Box[0] = 32 }, "64 bytes of the box's dimension 0 are fewer than the swizzle of 128"},
		{func(m *TensorMap) { m.Swizzle = 2 }, "128 bytes of the box's dimension 0 exceed the swizzle of 64"},
		{func(m *TensorMap) { m.Swizzle = 4 }, "swizzle 4"},
		{func(m *TensorMap) { m.ElementStride[1] = 9 }, "element stride 9"},
		{func(m *TensorMap) { m.ElementStride[1] = 2 }, "element stride 2 of dimension 1 is not supported"},
		{func(m *TensorMap) { m.ElementStride[0] = 0 }, "element stride 0"},
		{func(m *TensorMap) { m.Interleave = 1 }, "interleave 1"},
		{func(m *TensorMap) { m.L2Promotion = 4 }, "L2 promotion 4"},
		{func(m *TensorMap) { m.OOBFill = 2 }, "fill 2"},
		{func(m *TensorMap) { m.OOBFill, m.Type = 1, TensorU16 }, "NaN fill of a tensor of integers"},
	} {
		m := matrixMap()
		x.change(&m)
		_, err := m.Encode()
		require.ErrorContains(t, err, x.want)
	}
	m := matrixMap()
	b, err := m.Encode()
	require.NoError(t, err)
	b[20]++
	_, err = decodeTensorMap(&b)
	require.ErrorContains(t, err, "not a tensor map")
	_, err = decodeTensorMap(new([128]byte))
	require.ErrorContains(t, err, "not a tensor map")
}

// A box of every rank against the definition: element (i0, i1, ...) of the box is element (c0+i0, c1+i1, ...) of the tensor
// where that exists, and sits at the box's row-major place with dimension 0 contiguous.
func TestTensorMapRowsCoverTheBox(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		m := TensorMap{Type: TensorU32, Rank: uint32(1 + rng.IntN(5)), Address: 0x400}
		pitch := uint64(4)
		var at [5]int32
		for i := range m.Rank {
			m.Dim[i] = uint64(1 + rng.IntN(7))
			m.Box[i] = uint32(1 + rng.IntN(3))
			m.ElementStride[i] = 1
			at[i] = int32(rng.IntN(12) - 4)
			if i > 0 {
				m.Stride[i-1] = (pitch + 15) &^ 15
				pitch = m.Stride[i-1]
			}
			pitch *= m.Dim[i]
		}
		m.Box[0] *= 4
		require.NoError(t, m.check())
		got := make([]uint64, m.boxBytes()/4) // global address of every element, 0 outside
		require.NoError(t, m.rows(at, func(r boxRow) error {
			for i := r.lo; i < r.hi; i++ {
				got[r.offset/4+i] = r.at + uint64(4*(i-r.lo))
			}
			return nil
		}))
		for n := range got {
			rest, want := n, uint64(0x400)
			for d := range m.Rank {
				x := int(at[d]) + rest%int(m.Box[d])
				rest /= int(m.Box[d])
				if x < 0 || x >= int(m.Dim[d]) {
					want = 0
					break
				}
				if d == 0 {
					want += uint64(4 * x)
				} else {
					want += uint64(x) * m.Stride[d-1]
				}
			}
			require.Equal(t, want, got[n], "%+v at %v: element %d", m, at, n)
		}
	}
}

func TestTensorMapSwizzlePermutesChunks(t *testing.T) {
	for s := swizzleNone; s <= swizzle128; s++ {
		row := make([]byte, s.width())
		mem := make([]byte, 4096)
		for r := range 16 {
			for i := range row {
				row[i] = byte(r*16 + i/16)
			}
			s.scatter(mem, uint32(1024+r*len(row)), row)
			back := make([]byte, len(row))
			s.gather(back, mem, uint32(1024+r*len(row)))
			require.Equal(t, row, back)
		}
		for r := range 16 { // the manual's tables: chunk c of row r of the pattern sits at c xor something of r
			for c := range s.width() / 16 {
				x := map[swizzle]int{swizzleNone: 0, swizzle32: r >> 2 & 1, swizzle64: r >> 1 & 3, swizzle128: r & 7}[s]
				require.Equal(t, byte(r*16+c), mem[1024+r*s.width()+(c^x)*16], "%v: row %d, chunk %d", s, r, c)
			}
		}
	}
}

func TestTensorMapFillsWithNaN(t *testing.T) {
	m := TensorMap{Type: TensorBF16, OOBFill: 1}
	b := make([]byte, 16)
	m.fill(b)
	require.Equal(t, uint16(0x7fff), binary.LittleEndian.Uint16(b[6:]))
	m.OOBFill = 0
	m.fill(b)
	require.Equal(t, make([]byte, 16), b)
}

func FuzzTensorMapDecode(f *testing.F) {
	b, err := matrixMap().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:])
	f.Add(make([]byte, 128))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 128 {
			return
		}
		m, err := decodeTensorMap((*[128]byte)(b))
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || string(again[:100]) != string(b[:100]) {
			t.Fatalf("%+v: %v", m, err)
		}
	})
}
