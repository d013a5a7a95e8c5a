package cpu

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cpu/tier"
)

func TestUsageCountsTheBytesAskedFor(t *testing.T) {
	b, err := open(Options{Threads: 1})
	require.NoError(t, err)
	x, err := b.Alloc(1000)
	require.NoError(t, err)
	y, err := b.Alloc(5 << 20)
	require.NoError(t, err)
	empty, err := b.Alloc(0)
	require.NoError(t, err)
	require.Equal(t, 1000, x.Size())
	require.Equal(t, 0, empty.Size())
	require.Zero(t, uintptr(unsafe.Pointer(&y.(*buffer).mem[0]))%cacheLine)
	b.Free(x)
	b.Free(x)
	b.Free(empty)
	require.Equal(t, 5<<20, b.Usage().Now)
	require.Equal(t, 1000+5<<20, b.Usage().Peak)
	b.Free(y)
	require.Zero(t, b.Usage().Now)
	require.Positive(t, b.Usage().Overhead)
	require.NoError(t, b.Close())
}

func TestAllocRefusesMoreThanTheLimit(t *testing.T) {
	b, err := Open(Options{Threads: 1, Memory: 1 << 20})
	require.NoError(t, err)
	defer b.Close()
	x, err := b.Alloc(1 << 19)
	require.NoError(t, err)
	_, err = b.Alloc(1<<19 + 1)
	require.ErrorContains(t, err, "allocate 524289 bytes on the cpu: 524288 of its 1048576 bytes are free")
	_, err = b.Alloc(-1)
	require.ErrorContains(t, err, "negative")
	b.Free(x)
	_, err = b.Alloc(1 << 20)
	require.NoError(t, err)
}

func TestUploadAndDownloadCopyRows(t *testing.T) {
	b, err := open(Options{Threads: 1})
	require.NoError(t, err)
	defer b.Close()
	buf, err := b.Alloc(12)
	require.NoError(t, err)
	m := kernels.New(buf, kernels.U8, 3, 4)
	b.Upload(m, []byte("abcdefghijkl"))
	got := make([]byte, 6)
	b.Download(got, m.Columns(1, 3))
	require.NoError(t, b.Sync())
	require.Equal(t, "bcfgjk", string(got))
	b.Upload(m.Columns(0, 1), []byte("XYZ"))
	whole := make([]byte, 12)
	b.Download(whole, m)
	require.Equal(t, "XbcdYfghZjkl", string(whole))
}

func TestThreadsComeFromTheOptionThenTheEnvironment(t *testing.T) {
	t.Setenv("FORJA_THREADS", "3")
	open := func(o Options) kernels.Info {
		b, err := Open(o)
		require.NoError(t, err)
		defer b.Close()
		return b.Info()
	}
	require.Equal(t, 2, open(Options{Threads: 2}).Threads)
	info := open(Options{})
	require.Equal(t, 3, info.Threads)
	require.Equal(t, "cpu", info.Kind)
	require.NotEmpty(t, info.Name)
	require.Equal(t, tier.Current().String(), info.Tier)
	t.Setenv("FORJA_THREADS", "")
	require.Equal(t, runtime.GOMAXPROCS(0), open(Options{}).Threads)
	for _, bad := range []string{"zero", "0", "-1", "100000"} {
		t.Setenv("FORJA_THREADS", bad)
		_, err := Open(Options{})
		require.ErrorContains(t, err, "FORJA_THREADS")
	}
}

func TestOpenRefusesAnUnknownInstructionSet(t *testing.T) {
	if os.Getenv("FORJA_CPU") == "abacus" { // the child: the variable is read when a process starts
		_, err := Open(Options{})
		require.ErrorContains(t, err, "FORJA_CPU")
		require.ErrorContains(t, err, "avx512bf16") // what there is to choose from
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "FORJA_CPU=abacus")
	out, err := child.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "PASS: "+t.Name())
}
