//go:build !nocuda

package sim

import (
	"sync"

	"github.com/ebitengine/purego"
)

var pthreadSelf = sync.OnceValue(func() uintptr {
	f, err := purego.Dlsym(purego.RTLD_DEFAULT, "pthread_self")
	if err != nil {
		return 0
	}
	return f
})

// threadID names the operating system thread that runs the caller. Without pthread_self all threads are one.
func threadID() int {
	f := pthreadSelf()
	if f == 0 {
		return 0
	}
	id, _, _ := purego.SyscallN(f)
	return int(id)
}
