package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"
)

// partSize is how much is sent at once: two parts of an upload are in memory, one that fills and one under way. All but the last
// must be of one size, of 5 MiB at least, and 10,000 at most.
const (
	partSize = 16 << 20
	maxParts = 10_000
)

// Write sends what is small as one object, the rest in parts, which become an object only when the last of them is there.
func (b *bucket) Write(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := valid("write", name); err != nil {
		return err
	}
	u := &upload{bucket: b, name: name}
	u.ctx, u.cancel = context.WithCancel(ctx)
	defer u.cancel()
	err := write(u)
	if err == nil {
		err = context.Cause(ctx) // what was cut short must not appear
	}
	if err == nil {
		err = u.finish()
	}
	if err != nil {
		u.abort()
	}
	return err
}

// An upload is an object being written.
type upload struct {
	ctx    context.Context
	cancel context.CancelFunc
	bucket *bucket
	name   string
	filled []byte // of the part that is next
	spare  []byte // room for the one after it
	id     string // of an upload in parts; empty until there is a second part
	token  string // by which its object is known
	parts  []minio.CompletePart
	sent   chan error // gives the outcome of the part under way; nil if there is none
	err    error      // the first
}

func (u *upload) Write(p []byte) (n int, err error) {
	for u.err == nil && len(p) > 0 {
		if len(u.filled) == partSize { // only now is it known that it is not the last
			u.send()
			continue
		}
		k := min(len(p), partSize-len(u.filled))
		u.filled = append(u.filled, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, u.err
}

// send waits for the part under way and puts the one that is filled in its place.
func (u *upload) send() {
	if u.id == "" {
		u.begin()
	}
	u.wait()
	if u.err == nil && len(u.parts) == maxParts {
		u.err = u.bucket.fail("write", u.name, fmt.Errorf("larger than %d bytes, which is the most: split the input", int64(maxParts)*partSize))
	}
	if u.err != nil {
		return
	}
	number, part, sent := len(u.parts)+1, u.filled, make(chan error, 1)
	u.parts = append(u.parts, minio.CompletePart{PartNumber: number})
	u.filled, u.spare, u.sent = u.spare[:0], part, sent
	go func() {
		sum := sha256.Sum256(part)
		options := minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true}
		sent <- u.bucket.try(u.ctx, func() error {
			p, err := u.bucket.s3.PutObjectPart(u.ctx, u.bucket.name, u.bucket.key(u.name), u.id, number, bytes.NewReader(part), int64(len(part)), options)
			u.parts[number-1].ETag = p.ETag
			return err
		})
	}()
}

// wait waits for the part under way.
func (u *upload) wait() {
	if u.sent != nil {
		if err := <-u.sent; u.err == nil {
			u.err = u.bucket.fail("write", u.name, err)
		}
		u.sent = nil
	}
}

func (u *upload) begin() {
	var token [16]byte
	_, _ = rand.Read(token[:]) // never fails
	u.token = hex.EncodeToString(token[:])
	err := u.bucket.try(u.ctx, func() (err error) {
		u.id, err = u.bucket.s3.NewMultipartUpload(u.ctx, u.bucket.name, u.bucket.key(u.name),
			minio.PutObjectOptions{UserMetadata: map[string]string{tokenKey: u.token}})
		return err
	})
	u.err = u.bucket.fail("write", u.name, err)
}

// tokenKey is the name of the metadata that tells one upload's object from another's.
const tokenKey = "Forja-Upload"

// finish makes the object appear.
func (u *upload) finish() error {
	if u.err == nil && u.id == "" {
		return u.put()
	}
	if u.err == nil {
		u.send()
	}
	u.wait()
	if u.err != nil {
		return u.err
	}
	b := u.bucket
	err := b.try(u.ctx, func() error {
		_, err := b.s3.CompleteMultipartUpload(u.ctx, b.name, b.key(u.name), u.id, u.parts, minio.PutObjectOptions{})
		if minio.ToErrorResponse(err).Code == minio.NoSuchUpload && u.there() {
			return nil // it went well before, but the answer was lost
		}
		return err
	})
	return b.fail("write", u.name, err)
}

// there is whether the object is the one of this upload.
func (u *upload) there() bool {
	info, err := u.bucket.s3.StatObject(u.ctx, u.bucket.name, u.bucket.key(u.name), minio.StatObjectOptions{})
	return err == nil && info.UserMetadata[tokenKey] == u.token
}

func (u *upload) put() error {
	b, sum := u.bucket, sha256.Sum256(u.filled)
	err := b.try(u.ctx, func() error {
		_, err := b.s3.PutObject(u.ctx, b.name, b.key(u.name), bytes.NewReader(u.filled), int64(len(u.filled)), "",
			hex.EncodeToString(sum[:]), minio.PutObjectOptions{DisableContentSha256: true})
		return err
	})
	return b.fail("write", u.name, err)
}

// abort gives the parts' room back, if the service can be reached. If not, only a rule of the bucket's does, or a person.
func (u *upload) abort() {
	u.cancel()
	u.wait()
	if u.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), 10*time.Second)
	defer cancel()
	err := u.bucket.try(ctx, func() error {
		return u.bucket.s3.AbortMultipartUpload(ctx, u.bucket.name, u.bucket.key(u.name), u.id)
	})
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload {
		u.err = errors.Join(u.err, err)
	}
}
