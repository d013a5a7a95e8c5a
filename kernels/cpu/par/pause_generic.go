//go:build !amd64 || noasm

package par

// pause does nothing: the wait loops are bounded by turns.
func pause() {}
