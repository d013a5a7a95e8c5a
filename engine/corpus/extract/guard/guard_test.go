package guard

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// short is the time of requests that take for ever, as against those that are slow on a busy machine.
const short = 50 * time.Millisecond

var childLimits = Limits{Time: 20 * time.Second, Memory: 192 << 20, Answer: 1 << 20}

// TestMain makes this program the child as well: what it does is what the request says.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "guarded" {
		limits := childLimits
		limits.Time, _ = time.ParseDuration(os.Args[2])
		if err := Serve(os.Stdin, os.Stdout, limits, os.Exit, misbehave); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var sink [][]byte

func misbehave(request []byte) []byte {
	switch string(request) {
	case "hang":
		for k := 0; ; k++ {
			if k < 0 {
				return nil
			}
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "eat":
		for {
			b := make([]byte, 1<<20)
			for k := range b {
				b[k] = 1
			}
			sink = append(sink, b)
		}
	case "reserve":
		sink = append(sink, make([]byte, 64<<30))
	case "recurse":
		return recurse(request, 0)
	case "panic":
		panic("a parser's mistake")
	case "exit":
		os.Exit(0)
	case "long":
		return make([]byte, 2<<20)
	case "garbage":
		_, _ = io.WriteString(os.Stdout, "this is no message, and its length is nonsense")
	case "environment":
		return []byte(strings.Join(os.Environ(), "\n"))
	case "process":
		b, _ := os.ReadFile("/proc/self/oom_score_adj")
		return b
	case "pid":
		return []byte{byte(os.Getpid()), byte(os.Getpid() >> 8), byte(os.Getpid() >> 16)}
	}
	return append([]byte("answer to "), request...)
}

// recurse goes on without end, for the guard to survive.
func recurse(b []byte, n int) []byte {
	var room [1024]byte
	room[n%1024] = b[n%len(b)]
	if n >= 0 {
		b = recurse(b, n+1)
	}
	return append(b, room[0])
}

func pool(t testing.TB, n int, limit time.Duration) *Pool {
	self, err := os.Executable()
	require.NoError(t, err)
	limits := childLimits
	limits.Time = limit
	p := New([]string{self, "guarded", limit.String()}, n, limits)
	t.Cleanup(p.Close)
	return p
}

func TestRequestsAreAnsweredByOneChildAfterTheOther(t *testing.T) {
	p := pool(t, 1, childLimits.Time)
	var pid []byte
	for _, request := range []string{"a", "", strings.Repeat("long ", 1<<16)} {
		b, err := p.Do(t.Context(), []byte(request))
		require.NoError(t, err)
		assert.Equal(t, "answer to "+request, string(b))
		b, err = p.Do(t.Context(), []byte("pid"))
		require.NoError(t, err)
		if pid != nil {
			assert.Equal(t, pid, b, "the child is used again")
		}
		pid = b
	}
}

func TestABadRequestCostsItselfOnly(t *testing.T) {
	quick, patient := pool(t, 1, short), pool(t, 1, childLimits.Time)
	for _, c := range []struct {
		request string
		pool    *Pool
		err     error
		text    string
	}{
		{"hang", quick, ErrTime, "more than"},
		{"sleep", quick, ErrTime, "500ms by the clock"},
		{"eat", patient, ErrMemory, "192 MiB"},
		{"reserve", patient, ErrMemory, "192 MiB"},
		{"recurse", patient, ErrCrash, "stack"},
		{"panic", patient, ErrCrash, "a parser's mistake"},
		{"exit", patient, ErrCrash, "without an answer"},
		{"long", patient, ErrCrash, "longer"},
		{"garbage", patient, ErrCrash, "longer"},
	} {
		for range 2 { // in a fresh child, and in one that has been used
			_, err := c.pool.Do(t.Context(), []byte(c.request))
			require.ErrorIs(t, err, c.err, c.request)
			assert.ErrorContains(t, err, c.text, c.request)
			b, err := patient.Do(t.Context(), []byte("next"))
			require.NoError(t, err, "after %s", c.request)
			assert.Equal(t, "answer to next", string(b))
		}
	}
}

func TestAChildInheritsNothingAndIsTheFirstToGo(t *testing.T) {
	t.Setenv("A_SECRET", "42")
	p := pool(t, 1, childLimits.Time)
	b, err := p.Do(t.Context(), []byte("environment"))
	require.NoError(t, err)
	assert.NotContains(t, string(b), "A_SECRET")
	if runtime.GOOS == "linux" {
		b, err = p.Do(t.Context(), []byte("process"))
		require.NoError(t, err)
		assert.Equal(t, "1000", strings.TrimSpace(string(b)))
	}
}

func TestARequestDoesNotWaitForAnother(t *testing.T) {
	p := pool(t, 2, childLimits.Time)
	ctx, cancel := context.WithCancel(t.Context())
	slow := make(chan error, 1)
	go func() {
		_, err := p.Do(ctx, []byte("sleep"))
		slow <- err
	}()
	for range 5 {
		_, err := p.Do(t.Context(), []byte("quick"))
		require.NoError(t, err)
	}
	assert.Empty(t, slow, "the slow one still sleeps")
	cancel()
	assert.ErrorIs(t, <-slow, context.Canceled)
}

func TestALongRequestHasMoreTime(t *testing.T) {
	assert.Equal(t, 7*time.Second, Limits{Time: time.Second, PerMiB: 2 * time.Second}.of(3<<20+5))
}

func TestACancelledRequestEndsAtOnce(t *testing.T) {
	p := pool(t, 1, childLimits.Time)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	_, err := p.Do(ctx, []byte("sleep"))
	require.ErrorIs(t, err, context.Canceled)
	assert.Less(t, time.Since(begin), patience*childLimits.Time)
}

func TestACommandThatIsNotThere(t *testing.T) {
	p := New([]string{"/no/such/program"}, 1, childLimits)
	defer p.Close()
	_, err := p.Do(t.Context(), nil)
	assert.ErrorContains(t, err, "/no/such/program")
}

func TestTheWatchEndsWhatNobodyWaitsFor(t *testing.T) {
	for _, c := range []struct {
		due    time.Duration
		memory int64
		code   int
	}{
		{1, 1 << 40, codeTime},
		{processorTime() + time.Hour, 1, codeMemory},
	} {
		var due atomic.Int64
		due.Store(int64(c.due))
		done, codes := make(chan struct{}), make(chan int, 1000)
		go watch(Limits{Memory: c.memory}, &due, done, func(code int) { codes <- code })
		select {
		case code := <-codes:
			assert.Equal(t, c.code, code)
		case <-time.After(5 * time.Second):
			assert.Fail(t, "the watch slept")
		}
		close(done)
	}
}

func FuzzMessages(f *testing.F) {
	for _, s := range []string{"", "abc", strings.Repeat("x", 70_000)} {
		var b bytes.Buffer
		require.NoError(f, send(&b, []byte(s)))
		f.Add(b.Bytes())
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x10\x00\x00\x00\x00\x00abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := receive(bytes.NewReader(b), 1<<20)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(got)+8, len(b))
		require.Equal(t, b[8:8+len(got)], append([]byte{}, got...))
	})
}
