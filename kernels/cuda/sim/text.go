package sim

import "unsafe"

// maxText bounds strings that a program passes: PTX is the longest.
const maxText = 64 << 20

// goString copies a zero-terminated string.
func goString(p *byte) (string, bool) {
	if p == nil {
		return "", false
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		if n++; n > maxText {
			return "", false
		}
	}
	return string(unsafe.Slice(p, n)), true
}

// putString copies text to a buffer of a program, cut to its size and terminated.
func putString(p *byte, size uintptr, text string) result {
	n := int(int32(size))
	if p == nil || n < 1 {
		return invalidValue
	}
	b := unsafe.Slice(p, n)
	b[copy(b[:n-1], text)] = 0
	return success
}

// cString gives text an address for good.
func cString(text string) *byte { return &append([]byte(text), 0)[0] }

// pointer reads a word that is known to be a pointer. Words that may be small numbers never have a pointer's type: Go's
// runtime takes them for corruption.
func pointer[T any](word *uintptr) *T { return *(**T)(unsafe.Pointer(word)) }
