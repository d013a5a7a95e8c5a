package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// A bucket is a store below a prefix of a bucket of a service that speaks S3.
type bucket struct {
	s3        minio.Core
	name      string
	prefix    string // of all keys; empty, or ends in a slash
	endpoint  string // for messages
	anonymous bool
	patience  time.Duration // for how long a service may be out of reach
}

// patience is for how long a service may be out of reach: it restarts, fails over, or asks to slow down. When a store is opened
// the endpoint may be mistyped, and less is enough.
const (
	patience        = 2 * time.Minute
	patienceAtFirst = 3 * time.Second
)

// stall is for how long a connection may stand still.
var stall = 90 * time.Second

// amazon is the endpoint where no other is named.
const amazon = "https://s3.amazonaws.com"

// openBucket connects as the environment says: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION or AWS_DEFAULT_REGION, and for
// the credentials what AWS's own tools take.
func openBucket(ctx context.Context, rest string) (Store, error) {
	name, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimRight(prefix, "/")
	if name == "" || prefix != "" && valid("open", prefix) != nil {
		return nil, fmt.Errorf("s3://%s: want s3://BUCKET or s3://BUCKET/PREFIX, without empty names between slashes", rest)
	}
	if prefix != "" {
		prefix += "/"
	}
	endpoint := first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
	options := minio.Options{
		Region:       first("AWS_REGION", "AWS_DEFAULT_REGION"),
		BucketLookup: minio.BucketLookupAuto,
		MaxRetries:   2, // one more to learn a region; the rest is done here, where cut answers are tried again too
	}
	if endpoint == "" {
		endpoint = amazon
	} else { // there are no subdomains for buckets nor regions
		options.BucketLookup = minio.BucketLookupPath
		if options.Region == "" {
			options.Region = "us-east-1"
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("the endpoint %q of s3://%s is no URL of a server: set AWS_ENDPOINT_URL_S3 to one such as https://s3.example.org:9000",
			endpoint, rest)
	}
	options.Secure = u.Scheme == "https"
	transport, err := minio.DefaultTransport(options.Secure)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatientConn{c, stall}, nil
	}
	options.Transport = transport
	options.Creds = credentials.NewChainCredentials(providers(endpoint == amazon))
	client, err := minio.NewCore(u.Host, &options)
	if err != nil {
		return nil, fmt.Errorf("s3://%s at %s: %w", rest, endpoint, err)
	}
	b := &bucket{s3: *client, name: name, prefix: prefix, endpoint: endpoint, patience: patienceAtFirst}
	value, err := options.Creds.GetWithContext(&credentials.CredContext{Client: &http.Client{Timeout: 5 * time.Second}})
	b.anonymous = err != nil || value.SignerType == credentials.SignatureAnonymous
	if err := b.reach(ctx); err != nil {
		return nil, b.fail("open", ".", err)
	}
	b.patience = patience
	return b, nil
}

// providers of credentials, in order. Only Amazon's machines have a role that is Amazon's.
func providers(amazon bool) []credentials.Provider {
	ps := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	if amazon || first("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		ps = append(ps, &credentials.IAM{})
	}
	return ps
}

// first is the value of the first variable that is set.
func first(names ...string) string {
	for _, n := range names {
		if v := os.Getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// reach asks for the name of one object, which is the least that shows a bucket, a right to list it, and a clock.
func (b *bucket) reach(ctx context.Context) error {
	return b.try(ctx, func() error {
		for o := range b.s3.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix, Recursive: true, MaxKeys: 1}) {
			return o.Err
		}
		return nil
	})
}

func (b *bucket) Path(name string) string { return "s3://" + path.Join(b.name, b.prefix, name) }
func (b *bucket) Close() error            { return nil }
func (b *bucket) key(name string) string  { return b.prefix + name }

func (b *bucket) List(ctx context.Context) (files []File, err error) {
	err = b.try(ctx, func() error {
		files = files[:0]
		for o := range b.s3.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix, Recursive: true}) {
			if o.Err != nil {
				return o.Err
			}
			name := strings.TrimPrefix(o.Key, b.prefix)
			if valid("list", name) == nil { // else it is no file's name but, for example, a mark of an empty folder
				files = append(files, File{name, o.Size})
			}
		}
		return nil
	})
	if err != nil {
		return nil, b.fail("list", ".", err)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) }) // some services have an order of their own
	return files, nil
}

func (b *bucket) Remove(ctx context.Context, name string) error {
	if err := valid("remove", name); err != nil {
		return err
	}
	err := b.try(ctx, func() error { return b.s3.RemoveObject(ctx, b.name, b.key(name), minio.RemoveObjectOptions{}) })
	if err = b.fail("remove", name, err); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b *bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := valid("open", name); err != nil {
		return nil, err
	}
	o := &object{ctx: ctx, bucket: b, name: name}
	if err := o.get(); err != nil {
		return nil, err
	}
	return o, nil
}

// An object is being read. What a broken connection held back is asked for again, of the same version.
type object struct {
	ctx          context.Context
	bucket       *bucket
	name, etag   string
	offset, size int64 // size is negative if unknown
	body         io.ReadCloser
	futile       int // connections in a row that gave nothing
}

// maxFutile bounds how many connections may be made and broken in a row without a byte read.
const maxFutile = 8

func (o *object) get() error {
	b := o.bucket
	err := b.try(o.ctx, func() error {
		var options minio.GetObjectOptions
		if o.offset > 0 {
			if o.etag == "" {
				return errNoRanges
			}
			if err := options.SetRange(o.offset, 0); err != nil {
				return err
			}
			if err := options.SetMatchETag(o.etag); err != nil {
				return err
			}
		}
		body, info, header, err := b.s3.GetObject(o.ctx, b.name, b.key(o.name), options)
		if err != nil {
			return err
		}
		if o.offset == 0 {
			o.size, o.etag = info.Size, info.ETag
		} else if !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", o.offset)) {
			return errors.Join(errNoRanges, body.Close())
		}
		o.body = body
		return nil
	})
	return b.fail("open", o.name, err)
}

// errNoRanges is where a server does not name an object's version, or answers a request for the rest of it with something else.
var errNoRanges = errors.New("the connection broke and the server does not give the rest of an object: read it again")

func (o *object) Read(p []byte) (int, error) {
	for {
		n, err := o.body.Read(p)
		o.offset += int64(n)
		switch {
		case len(p) == 0:
			return 0, nil
		case n > 0:
			o.futile = 0
			return n, nil // an error comes again
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && (o.size < 0 || o.offset >= o.size):
			return 0, io.EOF
		}
		_ = o.body.Close() // broken already
		o.body = http.NoBody
		if o.futile++; o.futile > maxFutile {
			return 0, o.bucket.fail("read", o.name, fmt.Errorf("at byte %d: %w", o.offset, err))
		}
		if err := wait(o.ctx, o.futile); err != nil {
			return 0, err
		}
		if err := o.get(); err != nil {
			return 0, err
		}
	}
}

func (o *object) Close() error { return o.body.Close() }
