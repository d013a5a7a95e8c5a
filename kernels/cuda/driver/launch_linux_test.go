//go:build !nocuda && (amd64 || arm64)

package driver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// idle is a driver whose every function is the C library's pthread_mutexattr_destroy, which returns 0 and does nothing:
// what is left is the cost of a call.
func idle(t testing.TB) *Stream {
	libc, err := openLibrary([]string{"libpthread.so.0", "libc.so.6"})
	require.NoError(t, err)
	nothing, err := libc("pthread_mutexattr_destroy")
	require.NoError(t, err)
	a := &API{}
	for i := range a.fn {
		a.fn[i] = nothing
	}
	c := &Context{api: a, live: map[resource]int{}, memory: new(callMemory)}
	c.pin.Pin(c.memory)
	t.Cleanup(c.pin.Unpin)
	return &Stream{c: c}
}

func TestCallsOfEveryStepAllocateNothing(t *testing.T) {
	s := idle(t)
	l := s.NewLaunch()
	defer l.Close()
	h := &Host{Bytes: make([]byte, 64), c: s.c}
	e := &Event{c: s.c}
	g := &Graph{c: s.c}
	params := []int{0, 64, 72, 80, 88}
	for name, call := range map[string]func() error{
		"launch":         func() error { return l.Do(Function{}, 1, 2, 3, 256, 0, params) },
		"upload":         func() error { return s.Upload(0, h, 0, 64) },
		"download":       func() error { return s.Download(h, 0, 0, 64) },
		"copy":           func() error { return s.Copy(0, 0, 64) },
		"copy of rows":   func() error { return s.UploadRows(0, 8, h, 0, 4, 4) },
		"fill":           func() error { return s.Fill(0, 0, 64) },
		"record":         func() error { return e.Record(s) },
		"wait for event": func() error { return e.Synchronize() },
		"replay":         func() error { return g.Launch(s) },
		"synchronize":    func() error { return s.Synchronize() },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			if err := call(); err != nil {
				t.Error(name, err)
			}
		}), name)
	}
}

func BenchmarkLaunch(b *testing.B) {
	s := idle(b)
	l := s.NewLaunch()
	defer l.Close()
	params := []int{0, 64, 72, 80, 88}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Do(Function{}, 1, 2, 3, 256, 0, params); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	s := idle(b)
	e := &Event{c: s.c}
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Record(s); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNoLibraryIsAnErrorThatNamesEveryPlace(t *testing.T) {
	_, err := openLibrary([]string{"libnothing.so.1", "/nowhere/libnothing.so.1"})
	require.ErrorIs(t, err, ErrNoDriver)
	require.ErrorContains(t, err, "tried libnothing.so.1, /nowhere/libnothing.so.1")
	require.ErrorContains(t, err, "--device cpu")
	text := filepath.Join(t.TempDir(), "libcuda.so.1")
	require.NoError(t, os.WriteFile(text, []byte("not a library, and much too short to be one"), 0o644))
	_, err = openLibrary([]string{text})
	require.ErrorContains(t, err, "libcuda.so.1: ", "the reason, where there is a file")
}

func TestLibraryWithoutTheFunctionsIsAnErrorThatNamesThem(t *testing.T) {
	libc, err := openLibrary([]string{"libc.so.6"})
	require.NoError(t, err)
	_, err = Bind(libc)
	require.ErrorContains(t, err, "libc.so.6 has no function cuInit")
	require.ErrorContains(t, err, "cuLaunchKernel")
}

// A library that replaces a handler when it is opened is played by libc's signal.
func TestSignalHandlersSurviveTheOpeningOfALibrary(t *testing.T) {
	libc, err := openLibrary([]string{"libc.so.6"})
	require.NoError(t, err)
	signal, err := libc("signal")
	require.NoError(t, err)
	const segv, user1, ignore = 11, 10, 1
	var before, during, after [2]action
	read := func(to *[2]action) {
		sigaction(segv, nil, &to[0])
		sigaction(user1, nil, &to[1])
	}
	read(&before)
	require.NoError(t, KeepSignals(func() error {
		purego.SyscallN(signal, segv, ignore)
		purego.SyscallN(signal, user1, ignore)
		read(&during)
		return nil
	}))
	read(&after)
	assert.NotEqual(t, before, during)
	assert.Equal(t, before, after)
}
