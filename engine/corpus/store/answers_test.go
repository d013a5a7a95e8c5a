package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/store"
)

// answers is as much of a service as shows what becomes of its answers: lists, and objects of one request. The proof that stores
// work in buckets is TestStoreInABucket, with a real server.
type answers struct {
	mu      sync.Mutex
	objects map[string][]byte
	before  func(w http.ResponseWriter, r *http.Request) (done bool)
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Last-Modified", "Thu, 29 Feb 2024 00:00:00 GMT")
	if a.before != nil && a.before(w, r) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key, _ := strings.CutPrefix(r.URL.Path, "/corpus/")
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		fmt.Fprint(w, `<ListBucketResult><Name>corpus</Name>`)
		for k, b := range a.objects { // in no order
			fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>%d</Size><LastModified>2024-02-29T00:00:00.000Z</LastModified></Contents>`, k, len(b))
		}
		fmt.Fprint(w, `</ListBucketResult>`)
	case r.Method == http.MethodGet:
		b, ok := a.objects[key]
		if !ok {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(b)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	case r.Method == http.MethodPut:
		b, err := io.ReadAll(r.Body)
		if err == nil {
			a.objects[key] = b
		}
	case r.Method == http.MethodDelete:
		delete(a.objects, key)
		w.WriteHeader(http.StatusNoContent)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>told by the service</Message></Error>", code)
}

func answer(t *testing.T) *answers {
	a := &answers{objects: map[string][]byte{}}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": s.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "HOME": t.TempDir()} {
		t.Setenv(name, value)
	}
	return a
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	a := answer(t)
	for _, c := range []struct {
		status int
		code   string
		advice string
	}{
		{404, "NoSuchBucket", "make the bucket"},
		{403, "AccessDenied", "s3:ListBucket"},
		{403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"},
		{403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"},
		{403, "RequestTimeTooSkewed", "clock"},
		{400, "AuthorizationHeaderMalformed", "AWS_REGION"},
		{301, "PermanentRedirect", "AWS_REGION"},
		{400, "InvalidArgument", "what the service says"},
	} {
		a.before = func(w http.ResponseWriter, r *http.Request) bool { refuse(w, c.status, c.code); return true }
		_, err := store.Open(t.Context(), "s3://corpus/some/where")
		require.ErrorContains(t, err, c.advice, c.code)
		for _, part := range []string{"s3://corpus/some/where", "127.0.0.1", c.code, "told by the service"} {
			require.ErrorContains(t, err, part, c.code)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	a.before = func(w http.ResponseWriter, r *http.Request) bool {
		assert.Empty(t, r.Header.Get("Authorization"))
		refuse(w, 403, "AccessDenied")
		return true
	}
	_, err := store.Open(t.Context(), "s3://corpus")
	require.ErrorContains(t, err, "no credentials were found")
}

func TestLocationsThatAreNone(t *testing.T) {
	answer(t)
	for _, location := range []string{"s3://", "s3:///x", "s3://corpus/a//b", "s3://corpus/../x", "s3://corpus/.hidden"} {
		_, err := store.Open(t.Context(), location)
		require.ErrorContains(t, err, "s3://BUCKET", location)
	}
	for _, endpoint := range []string{"localhost:9000", "ftp://x", "http://", "http://x/with/a/path", "http://a b"} {
		t.Setenv("AWS_ENDPOINT_URL_S3", endpoint)
		_, err := store.Open(t.Context(), "s3://corpus")
		require.ErrorContains(t, err, "AWS_ENDPOINT_URL_S3", endpoint)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	start := time.Now()
	_, err := store.Open(t.Context(), "s3://corpus")
	require.ErrorContains(t, err, "check the network, and AWS_ENDPOINT_URL_S3")
	assert.Less(t, time.Since(start), 20*time.Second)
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	defer func(d time.Duration) { minio.DefaultRetryUnit = d }(minio.DefaultRetryUnit)
	minio.DefaultRetryUnit = time.Millisecond
	a := answer(t)
	s := openAt(t, "s3://corpus")
	for _, refusal := range []struct {
		status int
		code   string
	}{{503, "SlowDown"}, {500, "InternalError"}, {502, "what?"}, {400, "RequestTimeout"}, {400, "IncompleteBody"}, {429, "TooManyRequests"}} {
		var calls atomic.Int64
		a.before = func(w http.ResponseWriter, r *http.Request) bool {
			if calls.Add(1)%3 != 0 {
				refuse(w, refusal.status, refusal.code)
				return true
			}
			return false
		}
		require.NoError(t, store.WriteFile(t.Context(), s, "a/b", []byte("content")), refusal.code)
		assert.Equal(t, "content", read(t, s, "a/b"))
		files, err := s.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []store.File{{Name: "a/b", Size: 7}}, files)
		require.NoError(t, s.Remove(t.Context(), "a/b"))
		assert.GreaterOrEqual(t, calls.Load(), int64(12))
	}
}

func TestPatienceEnds(t *testing.T) {
	a := answer(t)
	s := openAt(t, "s3://corpus")
	store.SetPatience(s, 300*time.Millisecond)
	a.before = func(w http.ResponseWriter, r *http.Request) bool { refuse(w, 503, "SlowDown"); return true }
	err := store.WriteFile(t.Context(), s, "a", nil)
	require.ErrorContains(t, err, "tried")
	require.ErrorContains(t, err, "s3://corpus/a")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	store.SetPatience(s, time.Hour)
	_, err = s.List(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAConnectionThatStandsStillIsGivenUp(t *testing.T) {
	a := answer(t)
	defer store.SetStall(200 * time.Millisecond)()
	a.objects["f"] = noise(1<<20, 1)
	s := openAt(t, "s3://corpus")
	var calls atomic.Int64
	a.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/corpus/f" || calls.Add(1) > 1 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(a.objects["f"])))
		w.Header().Set("ETag", `"1048576"`)
		_, _ = w.Write(a.objects["f"][:1000]) // the client may be gone
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(30 * time.Second):
			t.Error("the client waits")
		}
		return true
	}
	assert.Equal(t, string(a.objects["f"]), read(t, s, "f"))
	assert.Equal(t, int64(2), calls.Load())
}

func TestAServerWithoutRangesIsNotTakenForOneWith(t *testing.T) {
	a := answer(t)
	a.objects["f"] = noise(1<<20, 1)
	s, etag := openAt(t, "s3://corpus"), ""
	a.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/corpus/f" {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(a.objects["f"])))
		w.Header().Set("ETag", etag)
		if r.Header.Get("Range") != "" {
			_, _ = w.Write(a.objects["f"]) // the client may be gone
			return true
		}
		_, _ = w.Write(a.objects["f"][:1000]) // the client may be gone
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for _, etag = range []string{`"1"`, ""} { // what has no version cannot be known to be the same either
		_, err := store.ReadFile(t.Context(), s, "f", 1<<30)
		require.ErrorContains(t, err, "does not give the rest", etag)
	}
}

func TestKeysThatAreNoNamesArePassedOver(t *testing.T) {
	a := answer(t)
	for _, key := range []string{"p/a", "p/folder/", "p//b", "p/.c", "p/d.tmp", "p/../e", "p/f/g"} {
		a.objects[key] = nil
	}
	files, err := openAt(t, "s3://corpus/p").List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "f/g"}, names(files))
}

// Some services forget an upload when it is complete, so that whoever lost their answer and asks again is told that there is none.
func TestAnUploadThatIsCompleteAndForgottenIsNoFailure(t *testing.T) {
	a := answer(t)
	var token string
	var parts []byte
	forgotten, asked := false, 0
	ours := true // whether the object is of this upload, or somebody else's
	a.before = func(w http.ResponseWriter, r *http.Request) bool {
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodPost && q.Has("uploads"):
			token = r.Header.Get("X-Amz-Meta-Forja-Upload")
			fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>`)
		case r.Method == http.MethodPut && q.Has("partNumber"):
			b, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			parts = append(parts, b...)
			w.Header().Set("ETag", `"x"`)
		case r.Method == http.MethodPost && !forgotten:
			a.objects["big"], forgotten = parts, true
			panic(http.ErrAbortHandler)
		case r.Method == http.MethodPost:
			asked++
			refuse(w, 404, "NoSuchUpload")
		case r.Method == http.MethodHead:
			if !ours {
				token = "another"
			}
			w.Header().Set("X-Amz-Meta-Forja-Upload", token)
			w.Header().Set("ETag", `"x-2"`)
		case r.Method == http.MethodDelete:
			refuse(w, 404, "NoSuchUpload")
		default:
			return false
		}
		return true
	}
	s, want := openAt(t, "s3://corpus"), noise(store.PartSize+1, 1)
	require.NoError(t, store.WriteFile(t.Context(), s, "big", want))
	assert.Equal(t, string(want), read(t, s, "big"))
	assert.Positive(t, asked)

	forgotten, ours, parts = false, false, nil
	require.ErrorContains(t, store.WriteFile(t.Context(), s, "big", want), "NoSuchUpload")
}
