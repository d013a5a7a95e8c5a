package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/store"
)

// A server is a real service that speaks S3, a program of its own, with one bucket named corpus.
type server struct {
	t       testing.TB
	program string
	dir     string
	address string
	process *exec.Cmd
	n       int // of stores given out
}

// serve starts the server that FORJA_S3_SERVER names: an executable of versitygw, which keeps objects in a folder.
func serve(t testing.TB) *server {
	program := os.Getenv("FORJA_S3_SERVER")
	if program == "" {
		t.Skip("FORJA_S3_SERVER does not name a server of S3; see CONTRIBUTING.md")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{t: t, program: program, dir: t.TempDir(), address: l.Addr().String()}
	require.NoError(t, l.Close())
	s.start()
	t.Cleanup(s.kill)
	s.connect(s.address)
	client, err := minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4("tester", "only for tests", ""), Region: "us-east-1"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return client.MakeBucket(context.Background(), "corpus", minio.MakeBucketOptions{}) == nil
	}, 20*time.Second, 50*time.Millisecond, "the server does not answer")
	return s
}

func (s *server) start() {
	objects := filepath.Join(s.dir, "objects")
	require.NoError(s.t, os.MkdirAll(objects, 0o755))
	s.process = exec.Command(s.program, "--access", "tester", "--secret", "only for tests", "--port", s.address, "--quiet", "--keep-alive",
		"posix", "--sidecar", makeDir(s.t, filepath.Join(s.dir, "meta")), objects)
	s.process.Stderr = os.Stderr
	require.NoError(s.t, s.process.Start())
}

func makeDir(t testing.TB, dir string) string {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// kill ends it without a chance to finish anything.
func (s *server) kill() {
	_ = s.process.Process.Kill() // may have ended
	_ = s.process.Wait()         // says that it was killed
}

// connect sets the environment for stores at an address, the server's or a proxy's.
func (s *server) connect(address string) {
	t := s.t
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://"+address)
	t.Setenv("AWS_ACCESS_KEY_ID", "tester")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "only for tests")
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("HOME", t.TempDir())
}

// open gives a store that nobody used before.
func (s *server) open(t *testing.T) store.Store {
	s.n++
	return openAt(t, fmt.Sprintf("s3://corpus/tests/%d", s.n))
}

func openAt(t *testing.T, location string) store.Store {
	opened, err := store.Open(t.Context(), location)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened
}

// A proxy hands bytes to a server and back, until it cuts the connection.
type proxy struct {
	listener net.Listener
	target   string
	cut      func(connection int) int64 // after how many bytes, of both directions together
	lose     func(request []byte) bool  // whether to cut the connection at the first byte of the answer
	cuts     atomic.Int64
}

func newProxy(t *testing.T, target string, cut func(int) int64, lose func([]byte) bool) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, target: target, cut: cut, lose: lose}
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(c, n) })
		}
	})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) serve(client net.Conn, n int) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	var left atomic.Int64
	left.Store(p.cut(n))
	var losing atomic.Bool
	pass := func(to, from net.Conn, request bool) {
		defer to.Close()
		defer from.Close()
		b := make([]byte, 32<<10)
		for {
			k, err := from.Read(b)
			if k > 0 {
				if request && p.lose(b[:k]) {
					losing.Store(true)
				}
				if left.Add(-int64(k)) < 0 || !request && losing.Load() {
					p.cuts.Add(1)
					return
				}
				if _, err := to.Write(b[:k]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	done := make(chan struct{})
	go func() { pass(server, client, true); close(done) }()
	pass(client, server, false)
	<-done
}

// never and nothing leave a proxy's connections alone.
func never(int) int64     { return 1 << 60 }
func nothing([]byte) bool { return false }

// sometimes cuts connections after up to most bytes, now and then one at once.
func sometimes(most int64) func(int) int64 {
	return func(n int) int64 { return rand.New(rand.NewPCG(uint64(n), 0)).Int64N(most) }
}
