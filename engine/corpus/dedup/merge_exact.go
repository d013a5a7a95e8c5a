package dedup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// A place is where a hash with that lower half is.
type place struct{ lower, unit uint64 }

var places = layout[place]{16, func(b []byte, p place) {
	binary.LittleEndian.PutUint64(b, p.lower)
	binary.LittleEndian.PutUint64(b[8:], p.unit)
}, func(b []byte) place {
	return place{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}}

var unitNumbers = layout[uint64]{8, binary.LittleEndian.PutUint64, binary.LittleEndian.Uint64}

// exactly finds units that are the same: it sorts their hashes, and then the numbers of those that repeat others.
func (m *merger) exactly(ctx context.Context) (err error) {
	memory := m.Memory
	if memory <= 0 {
		memory = defaultMemory
	}
	units := newSorter(m.Temp, "hashes", memory/2, places)
	repeats := newSorter(m.Temp, "repeats", memory/2, unitNumbers)
	defer func() { err = errors.Join(err, units.remove(), repeats.remove()) }()
	err = m.keys(ctx, func(unit uint64, e entry) error {
		if len(e.numbers) != 2 {
			return fmt.Errorf("%d numbers where a hash of 2 is", len(e.numbers))
		}
		return units.add(e.numbers[0], place{e.numbers[1], unit})
	})
	if err != nil {
		return err
	}
	var stay []uint64
	err = sameHashes(&units, func(r repeat) error {
		if n := len(stay); !m.parts() && (n == 0 || stay[n-1] != r.first) {
			stay = append(stay, r.first)
		}
		return repeats.add(r.unit, r.first)
	})
	if err != nil {
		return fmt.Errorf("find equal %ss: %w", m.Exact, err)
	}
	if err := units.remove(); err != nil {
		return err
	}
	return m.write(ctx, func(yield func(repeat, error) bool) {
		enough := errors.New("enough")
		err := repeats.each(func(r record[uint64]) error {
			if !yield(repeat{r.key, r.value}, nil) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(repeat{}, err)
		}
	}, stay)
}

// sameHashes visits units whose hash a unit before has. Of one upper half of hashes there is hardly ever more than one lower
// half: the first needs no map.
func sameHashes(units *sorter[place], visit func(repeat) error) error {
	var upper uint64
	var first place
	any := false
	others := map[uint64]uint64{}
	return units.each(func(r record[place]) error {
		if !any || r.key != upper {
			any, upper, first = true, r.key, r.value
			clear(others)
			return nil
		}
		if r.value.lower == first.lower {
			return visit(repeat{r.value.unit, first.unit})
		}
		if other, seen := others[r.value.lower]; seen {
			return visit(repeat{r.value.unit, other})
		}
		others[r.value.lower] = r.value.unit
		return nil
	})
}
