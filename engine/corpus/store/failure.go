package store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// try does what can be done again until it is done, has failed for good, or the service was out of reach for too long.
func (b *bucket) try(ctx context.Context, do func() error) error {
	start := time.Now()
	for n := 1; ; n++ {
		err := do()
		if err == nil || !passing(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(start) > b.patience {
			return fmt.Errorf("tried %d times in %s: %w", n, time.Since(start).Round(time.Second), err)
		}
		if err := wait(ctx, n); err != nil {
			return err
		}
	}
}

// wait waits before the nth attempt after the first: a tenth of a second, then twice as long each time, at most five seconds.
func wait(ctx context.Context, n int) error {
	t := time.NewTimer(min(100*time.Millisecond<<min(n-1, 10), 5*time.Second))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// passing is whether an error may be gone in a moment: broken connections, servers that restart or are busy, bytes that were
// changed on their way.
func passing(err error) bool {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) || errors.Is(err, errNoRanges) {
		return false
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return true
	}
	switch answer.Code {
	case "RequestTimeout", "SlowDown", "Throttling", "ExpiredToken", minio.IncompleteBody, minio.BadDigest, minio.XAmzContentSHA256Mismatch:
		return true
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return answer.StatusCode < 300 // the library could not make sense of it
}

// fail says what was done to which object, where, why it failed, and what to do.
func (b *bucket) fail(op, name string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s %s at %s: %w: check the network, and AWS_ENDPOINT_URL_S3", op, b.Path(name), b.endpoint, err)
	}
	if answer.Code == minio.NoSuchKey {
		return &fs.PathError{Op: op, Path: b.Path(name), Err: fs.ErrNotExist}
	}
	return fmt.Errorf("%s %s at %s: %w (%s): %s", op, b.Path(name), b.endpoint, err, answer.Code, b.advice(answer))
}

func (b *bucket) advice(answer minio.ErrorResponse) string {
	switch answer.Code {
	case minio.NoSuchBucket:
		return "make the bucket, or check its name and AWS_ENDPOINT_URL_S3"
	case minio.InvalidBucketName:
		return "want s3://BUCKET/PREFIX with the name of a bucket"
	case minio.InvalidAccessKeyID, minio.SignatureDoesNotMatch:
		return "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials"
	case "ExpiredToken", "InvalidToken":
		return "renew the credentials' session"
	case minio.RequestTimeTooSkewed:
		return "set this machine's clock, which differs from the service's by too much"
	case minio.InvalidRegion, minio.AuthorizationHeaderMalformed, "PermanentRedirect", "IllegalLocationConstraintException":
		if answer.Region != "" {
			return "set AWS_REGION to " + answer.Region
		}
		return "set AWS_REGION to the bucket's"
	case minio.PreconditionFailed:
		return "it was replaced while it was read: start again"
	case minio.InvalidObjectState:
		return "it is in an archive: restore it first"
	}
	switch answer.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		if b.anonymous {
			return "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
		}
		return "the credentials need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects"
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		return "set AWS_REGION to the bucket's"
	}
	return "see what the service says about this"
}

// An impatientConn fails when it stands still. A connection that nobody uses stands still too, and is closed.
type impatientConn struct {
	net.Conn
	limit time.Duration
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil { // nothing is read meanwhile
		return 0, err
	}
	return c.Conn.Write(p)
}
