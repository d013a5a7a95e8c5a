package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

func TestStoreInABucket(t *testing.T) {
	s := serve(t)
	conform(t, s.open)
	t.Run("uploads that failed leave nothing behind", func(t *testing.T) { assert.Empty(t, s.uploads(t)) })
	t.Run("a list of many pages", func(t *testing.T) { listOfManyPages(t, s.open(t)) })
	t.Run("stores below different prefixes are apart", func(t *testing.T) {
		a, ab, whole := openAt(t, "s3://corpus/apart/a/"), openAt(t, "s3://corpus/apart/ab"), openAt(t, "s3://corpus")
		require.NoError(t, store.WriteFile(t.Context(), a, "x", []byte("1")))
		require.NoError(t, store.WriteFile(t.Context(), ab, "y", []byte("22")))
		files, err := a.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []store.File{{Name: "x", Size: 1}}, files)
		assert.Equal(t, "22", read(t, whole, "apart/ab/y"))
	})
	t.Run("a bucket that is not there", func(t *testing.T) {
		_, err := store.Open(t.Context(), "s3://elsewhere/x")
		require.ErrorContains(t, err, "s3://elsewhere/x")
		require.ErrorContains(t, err, "make the bucket")
	})
	t.Run("wrong credentials", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
		_, err := store.Open(t.Context(), "s3://corpus/x")
		require.ErrorContains(t, err, "check AWS_ACCESS_KEY_ID")
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		_, err = store.Open(t.Context(), "s3://corpus/x")
		require.ErrorContains(t, err, "no credentials were found")
	})
}

// uploads are those that were begun and neither completed nor aborted.
func (s *server) uploads(t *testing.T) (keys []string) {
	client, err := minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4("tester", "only for tests", ""), Region: "us-east-1"})
	require.NoError(t, err)
	for u := range client.ListIncompleteUploads(t.Context(), "corpus", "", true) {
		require.NoError(t, u.Err)
		keys = append(keys, u.Key)
	}
	return keys
}

func listOfManyPages(t *testing.T, s store.Store) {
	const n = 2100 // a page is of 1000
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < n; i += 8 {
				assert.NoError(t, store.WriteFile(t.Context(), s, fmt.Sprintf("d%d/%05d", i%7, i), nil))
			}
		})
	}
	all.Wait()
	files, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, files, n)
	for i := range files[1:] {
		require.Less(t, files[i].Name, files[i+1].Name)
	}
}

func TestABrokenConnectionIsResumed(t *testing.T) {
	s := serve(t)
	direct := s.open(t)
	want := noise(2*store.PartSize+99, 7)
	require.NoError(t, store.WriteFile(t.Context(), direct, "in", want))
	p := newProxy(t, s.address, sometimes(2*store.PartSize), nothing)
	s.connect(p.address())
	through := openAt(t, direct.Path("."))
	for i := range 2 {
		got, err := store.ReadFile(t.Context(), through, "in", int64(len(want)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		name := fmt.Sprintf("out%d", i)
		require.NoError(t, store.WriteFile(t.Context(), through, name, want))
		require.Equal(t, string(want), read(t, direct, name))
	}
	assert.Greater(t, p.cuts.Load(), int64(3))
	assert.Empty(t, s.uploads(t))
}

func TestALostAnswerToTheLastRequestOfAnUploadIsNoFailure(t *testing.T) {
	s := serve(t)
	direct := s.open(t)
	var lost atomic.Int64
	p := newProxy(t, s.address, never, func(request []byte) bool {
		return bytes.HasPrefix(request, []byte("POST ")) && bytes.Contains(request, []byte("uploadId=")) && lost.Add(1) == 1
	})
	s.connect(p.address())
	through, want := openAt(t, direct.Path(".")), noise(store.PartSize+1, 3)
	require.NoError(t, store.WriteFile(t.Context(), through, "big", want))
	assert.Equal(t, int64(2), lost.Load())
	assert.Equal(t, string(want), read(t, direct, "big"))
}

func TestAFileReplacedWhileItIsReadIsNotMixed(t *testing.T) {
	s := serve(t)
	direct := s.open(t)
	require.NoError(t, store.WriteFile(t.Context(), direct, "f", noise(store.PartSize, 1)))
	p := newProxy(t, s.address, func(n int) int64 {
		if n < 2 { // is opened, and reads
			return 1 << 20
		}
		return 1 << 60
	}, nothing)
	s.connect(p.address())
	through := openAt(t, direct.Path("."))
	r, err := through.Open(t.Context(), "f")
	require.NoError(t, err)
	require.NoError(t, store.WriteFile(t.Context(), direct, "f", noise(store.PartSize, 2)))
	_, err = io.ReadAll(r)
	require.Positive(t, p.cuts.Load())
	require.ErrorContains(t, err, "replaced while it was read")
	require.NoError(t, r.Close())
}

// Two processes share the work, connections break, and the server is killed again and again.
func TestSharesOverABucketSurviveServersAndConnectionsThatDie(t *testing.T) {
	s := serve(t)
	in, out := s.open(t), s.open(t)
	local, want := store.In(vfs.NewMem()), store.In(vfs.NewMem())
	for i := range 12 {
		name, text := fmt.Sprintf("d%d/f%02d.in", i%3, i), fmt.Sprintf("%x", noise(100+i*i*9000, uint64(i)))
		require.NoError(t, store.WriteFile(t.Context(), in, name, []byte(text)))
		require.NoError(t, store.WriteFile(t.Context(), local, name, []byte(text)))
	}
	_, err := upper(local, want, shard.All).Run(t.Context())
	require.NoError(t, err)

	p := newProxy(t, s.address, sometimes(3<<20), nothing)
	s.connect(p.address())
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	kills := 0
	all.Go(func() {
		for kills < 6 && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
				s.kill()
				time.Sleep(100 * time.Millisecond)
				s.start()
				kills++
			}
		}
	})
	var workers sync.WaitGroup
	for i := range 2 {
		from, to := openAt(t, in.Path(".")), openAt(t, out.Path("."))
		workers.Go(func() {
			_, err := upper(from, to, shard.Share{Index: i, Of: 2}).Run(t.Context())
			assert.NoError(t, err)
		})
	}
	workers.Wait()
	stop()
	all.Wait()
	assert.Greater(t, kills, 1)
	assert.Greater(t, p.cuts.Load(), int64(1))
	require.Eventually(t, func() bool { _, err := out.List(t.Context()); return err == nil }, 10*time.Second, 50*time.Millisecond)
	sum, err := upper(in, out, shard.All).Finished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 12, sum.Files)
	assert.Equal(t, contents(t, want), contents(t, out))
	t.Logf("%d kills, %d cuts", kills, p.cuts.Load())
}

// upper makes .out files of .in files in capitals.
func upper(in, out store.Store, share shard.Share) *shard.Map {
	return &shard.Map{Step: "upper", In: in, Out: out, Share: share, Ending: ".out",
		Stem: func(name string) (string, bool) { return strings.CutSuffix(name, ".in") },
		Do: func(_ context.Context, _ store.File, r io.Reader, w io.Writer, report *shard.Report) error {
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			report.Read.Add(len(b))
			_, err = w.Write(bytes.ToUpper(b))
			return err
		}}
}

// contents are the files of a store but for the markers, which say how long it took.
func contents(t *testing.T, s store.Store) map[string]string {
	files, err := s.List(t.Context())
	require.NoError(t, err)
	all := map[string]string{}
	for _, f := range files {
		if !strings.HasPrefix(f.Name, "_done/") {
			all[f.Name] = read(t, s, f.Name)
		}
	}
	return all
}
