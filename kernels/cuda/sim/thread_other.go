//go:build (darwin && nocuda) || !(linux || windows || darwin)

package sim

func threadID() int { return 0 }
