package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"

	"forja/engine/data"
	"forja/engine/format/safetensors"
	"forja/engine/vfs"
)

// DebugDir is where batches that went wrong are kept.
const DebugDir = "debug"

// fault keeps the batch of a step whose loss is not finite, for replay. The last checkpoint is as it was.
func (r *Run) fault(err error, b *data.Batch) error {
	var nf *NotFiniteError
	if !errors.As(err, &nf) {
		return err
	}
	name := path.Join(DebugDir, checkpointName(nf.Step)+".safetensors")
	if merr := vfs.MkdirAll(r.FS, DebugDir); merr != nil {
		return errors.Join(err, merr)
	}
	if werr := vfs.WriteStream(r.FS, name, func(w io.Writer) error { return WriteBatch(w, b) }); werr != nil {
		return errors.Join(err, werr)
	}
	return fmt.Errorf("%w\nbatch saved to %s   look at it: forja debug %s %s --bad", err, r.FS.Path(name), r.FS.Path("."), r.FS.Path(name))
}

// WriteBatch writes a batch as I32 tensors.
func WriteBatch(w io.Writer, b *data.Batch) error {
	var es []safetensors.Entry
	for _, t := range []struct {
		name string
		x    []int32
	}{{"tokens", b.Tokens}, {"targets", b.Targets}, {"positions", b.Positions}, {"lo", b.Lo}} {
		es = append(es, safetensors.Entry{Name: t.name, DType: safetensors.I32, Shape: []int{b.Rows, b.Length},
			Data: func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, t.x) }})
	}
	es = append(es, safetensors.Entry{Name: "mask", DType: safetensors.F32, Shape: []int{b.Rows, b.Length},
		Data: safetensors.FromF32(b.Mask, safetensors.F32)})
	return safetensors.Write(w, es, nil)
}

// ReadBatch is the inverse of WriteBatch.
func ReadBatch(f *safetensors.File) (*data.Batch, error) {
	info, ok := f.Tensor("tokens")
	if !ok || len(info.Shape) != 2 {
		return nil, fmt.Errorf("not a saved batch: it has no matrix of tokens")
	}
	b := data.NewBatch(info.Shape[0], info.Shape[1])
	for _, t := range []struct {
		name string
		x    []int32
	}{{"tokens", b.Tokens}, {"targets", b.Targets}, {"positions", b.Positions}, {"lo", b.Lo}} {
		raw := make([]byte, 4*len(t.x))
		if err := f.ReadTensor(t.name, raw); err != nil {
			return nil, err
		}
		for i := range t.x {
			t.x[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	if err := f.ReadF32("mask", b.Mask); err != nil {
		return nil, err
	}
	for _, m := range b.Mask {
		if m != 0 {
			b.Count++
		}
	}
	return b, nil
}
