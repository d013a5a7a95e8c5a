package driver_test

import (
	"encoding/binary"
	"fmt"
	"math"
)

func putFloat(b []byte, v float32) { binary.NativeEndian.PutUint32(b, math.Float32bits(v)) }
func getFloat(b []byte) float32    { return math.Float32frombits(binary.NativeEndian.Uint32(b)) }

// pack lays out the parameters of a kernel and returns their places.
func pack(b []byte, params ...any) (places []int) {
	n := 0
	for _, p := range params {
		switch p := p.(type) {
		case uint64:
			n = (n + 7) &^ 7
			places = append(places, n)
			binary.NativeEndian.PutUint64(b[n:], p)
			n += 8
		case uint32:
			places = append(places, n)
			binary.NativeEndian.PutUint32(b[n:], p)
			n += 4
		case float32:
			places = append(places, n)
			putFloat(b[n:], p)
			n += 4
		default:
			panic(fmt.Sprintf("a parameter of type %T", p))
		}
	}
	return places
}
