package kerneltest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"forja/kernels"
)

// whole is a buffer as bytes.
func whole(b kernels.Buffer) kernels.Tensor { return kernels.New(b, kernels.U8, b.Size()) }

// pattern is n bytes that differ from those of other seeds.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/251*13 + seed*101)
	}
	return b
}

func memoryCases(l *list) {
	for _, c := range []struct {
		op    string
		check func(kernels.Backend) error
	}{
		{"Info", checkInfo}, {"Alloc", checkAlloc}, {"Free", checkFree}, {"Usage", checkUsage}, {"Upload", checkUpload},
		{"Download", checkDownload}, {"Sync", checkSync}, {"Close", checkClose},
	} {
		*l = append(*l, scenario{op: c.op, name: "contract", check: c.check, closes: c.op == "Close"})
	}
}

func checkInfo(b kernels.Backend) error {
	info := b.Info()
	switch {
	case !slices.Contains([]string{"cpu", "cuda", "sim"}, info.Kind):
		return fmt.Errorf("kind %q", info.Kind)
	case info.Name == "" || info.Tier == "" || info.Threads < 0 || info.Memory < 0:
		return fmt.Errorf("incomplete: %+v", info)
	case info != b.Info():
		return errors.New("it changes")
	}
	return nil
}

// checkAlloc writes to several buffers before it reads any.
func checkAlloc(b kernels.Backend) error {
	var buffers []kernels.Buffer
	sizes := []int{1, 17, 4096, 4097, 1 << 20, 64}
	for i, n := range sizes {
		buf, err := b.Alloc(n)
		if err != nil {
			return err
		}
		defer b.Free(buf)
		if buf.Size() != n {
			return fmt.Errorf("a buffer of %d bytes has %d", n, buf.Size())
		}
		buffers = append(buffers, buf)
		b.Upload(whole(buf), pattern(n, i))
	}
	for i, buf := range buffers {
		got := make([]byte, sizes[i])
		b.Download(got, whole(buf))
		if err := b.Sync(); err != nil {
			return err
		}
		if !bytes.Equal(got, pattern(sizes[i], i)) {
			return fmt.Errorf("a buffer of %d bytes shares memory with another", sizes[i])
		}
	}
	const tooMuch = 1 << 58
	buf, err := b.Alloc(tooMuch)
	if err == nil {
		b.Free(buf)
		return errors.New("2⁵⁸ bytes were given")
	}
	if !strings.Contains(err.Error(), fmt.Sprint(tooMuch)) {
		return fmt.Errorf("the error does not say how much was asked for: %w", err)
	}
	return nil
}

func checkFree(b kernels.Backend) error {
	before := b.Usage().Now
	for range 100 {
		buf, err := b.Alloc(1 << 20)
		if err != nil {
			return err
		}
		b.Fill(kernels.New(buf, kernels.F32, 1<<18), 1) // freed while it is used
		b.Free(buf)
	}
	if err := b.Sync(); err != nil {
		return err
	}
	if now := b.Usage().Now; now != before {
		return fmt.Errorf("%d bytes are still allocated", now-before)
	}
	return nil
}

func checkUsage(b kernels.Backend) error {
	start := b.Usage()
	if start.Overhead < 0 || start.Peak < start.Now {
		return fmt.Errorf("it makes no sense: %+v", start)
	}
	n := start.Peak - start.Now + 12345 // more than ever
	one, err := b.Alloc(n)
	if err != nil {
		return err
	}
	two, err := b.Alloc(100)
	if err != nil {
		b.Free(one)
		return err
	}
	both := b.Usage()
	b.Free(one)
	b.Free(two)
	end := b.Usage()
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"allocated now", both.Now, start.Now + n + 100}, {"allocated at most", both.Peak, start.Now + n + 100},
		{"allocated after Free", end.Now, start.Now}, {"allocated at most, after Free", end.Peak, both.Peak},
	} {
		if c.got != c.want {
			return fmt.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	return nil
}

// window is a view with gaps of every dtype within a buffer, and the bytes of the buffer that are its own.
func window(b kernels.Buffer, d kernels.DType) (t kernels.Tensor, own []int) {
	t = kernels.Tensor{Buf: b, Off: 3, Shape: kernels.Shape{2, 3, 5}, Stride: 9, DType: d}
	for i := range t.Rows() {
		for j := range t.Cols() * d.Size() {
			own = append(own, (t.Off+i*t.Stride)*d.Size()+j)
		}
	}
	return t, own
}

var allDTypes = []kernels.DType{kernels.F32, kernels.BF16, kernels.F16, kernels.I32, kernels.U8}

func checkUpload(b kernels.Backend) error {
	for _, d := range allDTypes {
		buf, err := b.Alloc(400)
		if err != nil {
			return err
		}
		defer b.Free(buf)
		t, own := window(buf, d)
		want, src := pattern(400, 1), pattern(len(own), 2)
		b.Upload(whole(buf), want)
		for i, k := range own {
			want[k] = src[i]
		}
		b.Upload(t, src)
		clear(src) // Upload has returned
		got := make([]byte, 400)
		b.Download(got, whole(buf))
		if err := b.Sync(); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%v: byte %d is wrong", d, firstDifference(got, want))
		}
	}
	return nil
}

func checkDownload(b kernels.Backend) error {
	for _, d := range allDTypes {
		buf, err := b.Alloc(400)
		if err != nil {
			return err
		}
		defer b.Free(buf)
		t, own := window(buf, d)
		all, got := pattern(400, 3), make([]byte, len(own))
		b.Upload(whole(buf), all)
		b.Download(got, t)
		if err := b.Sync(); err != nil {
			return err
		}
		for i, k := range own {
			if got[i] != all[k] {
				return fmt.Errorf("%v: byte %d is %d, want %d", d, i, got[i], all[k])
			}
		}
	}
	return nil
}

// checkSync reads the result of operations that depend on each other.
func checkSync(b kernels.Backend) error {
	buf, err := b.Alloc(4 << 16)
	if err != nil {
		return err
	}
	defer b.Free(buf)
	t := kernels.New(buf, kernels.F32, 1<<16)
	b.Fill(t, 1)
	for range 10 {
		b.Add(t, t, t)
	}
	last := make([]byte, 4)
	b.Download(last, kernels.Tensor{Buf: buf, Off: 1<<16 - 1, Shape: kernels.Shape{1}, Stride: 1, DType: kernels.F32})
	for range 2 {
		if err := b.Sync(); err != nil {
			return err
		}
	}
	if v := decode(last, kernels.F32); v != 1024 {
		return fmt.Errorf("1 doubled ten times is %g", v)
	}
	return nil
}

func checkClose(b kernels.Backend) error {
	buf, err := b.Alloc(1 << 16)
	if err != nil {
		return errors.Join(err, b.Close())
	}
	b.Fill(kernels.New(buf, kernels.F32, 1<<14), 1)
	return b.Close()
}
