package chat

import (
	"cmp"
	"math/bits"
	"slices"
)

// PackBFD puts items into as few rows as it can by best-fit decreasing: the
// longest item first, each into the row where the least room is left, the
// oldest of several. Items longer than capacity get a row of their own.
// Rows list the items by number; the result is a pure function of lengths.
func PackBFD(lengths []int, capacity int) (rows [][]int) {
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lengths[b], lengths[a]) })
	open := newRoomIndex(capacity)
	for _, i := range order {
		length := min(lengths[i], capacity)
		row, room := open.take(length)
		if row < 0 {
			row, room = len(rows), capacity
			rows = append(rows, nil)
		}
		rows[row] = append(rows[row], i)
		open.put(row, room-length)
	}
	return rows
}

// A roomIndex finds the row with the least room that is enough.
type roomIndex struct {
	rows  [][]int  // by room left, the oldest first
	words []uint64 // bit r is set if rows[r] is not empty
}

func newRoomIndex(capacity int) *roomIndex {
	return &roomIndex{rows: make([][]int, capacity+1), words: make([]uint64, capacity/64+1)}
}

func (x *roomIndex) put(row, room int) {
	if room > 0 {
		x.rows[room] = append(x.rows[room], row)
		x.words[room/64] |= 1 << (room % 64)
	}
}

// take removes the best row for an item and returns its room, or -1.
func (x *roomIndex) take(length int) (row, room int) {
	first := length / 64
	for w := first; w < len(x.words); w++ {
		word := x.words[w]
		if w == first {
			word &^= 1<<(length%64) - 1
		}
		if word == 0 {
			continue
		}
		room = w*64 + bits.TrailingZeros64(word)
		row = x.rows[room][0]
		if x.rows[room] = x.rows[room][1:]; len(x.rows[room]) == 0 {
			x.words[w] &^= 1 << (room % 64)
		}
		return row, room
	}
	return -1, 0
}
