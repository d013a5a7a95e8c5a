package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
	"forja/engine/vfs/vfstest"
)

// script is the names of the snapshots that the suite saves, one after the other: version 3 replaces version 2.
var script = []string{"", "00000001", "00000002", "00000002", "00000003"}

var fileNames = []string{"model.safetensors", "policy/model.safetensors", "state.json"}

// contents[v] is the files of version v: several blocks, one block, a few bytes.
var contents = func() (versions []map[string][]byte) {
	for v := range script {
		files := map[string][]byte{}
		for i, name := range fileNames {
			files[name] = bytes.Repeat(fmt.Appendf(nil, "%s, version %d|", name, v), []int{400, 20, 1}[i]+v)
		}
		versions = append(versions, files)
	}
	return versions
}()

// save writes version v and prunes, even if the writing failed.
func save(fsys vfs.FS, v int) error {
	err := Save(fsys, "ckpt", script[v], func(w *Writer) error {
		for _, name := range fileNames {
			if err := w.File(name, func(out io.Writer) error { _, err := out.Write(contents[v][name]); return err }); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, Prune(fsys, "ckpt", 2))
}

// A verdict counts what the suite saw at its crash points.
type verdict struct{ points, lost, corrupt int }

func (v verdict) String() string {
	return fmt.Sprintf("%6d points, %5d lost, %5d corrupt", v.points, v.lost, v.corrupt)
}

// check looks at a disk after a crash. The newest snapshot must be version committed or one that was being saved later.
func (v *verdict) check(disk vfs.FS, committed, attempted int) {
	v.points++
	name, _, err := Latest(disk, "ckpt")
	if err != nil {
		if committed > 0 || !errors.Is(err, fs.ErrNotExist) {
			v.lost++
		}
		return
	}
	for got := 1; got <= attempted; got++ {
		if script[got] == strings.TrimSuffix(name, oldSuffix) && holds(disk, name, got) {
			if got < committed {
				v.lost++
			}
			return
		}
	}
	v.corrupt++
}

func holds(disk vfs.FS, name string, version int) bool {
	for file, want := range contents[version] {
		if got, err := vfs.ReadFile(disk, path.Join("ckpt", name, file), 1<<20); err != nil || !bytes.Equal(got, want) {
			return false
		}
	}
	return true
}

// A suite runs the script on a file system wrapped by wrap, and crashes it everywhere.
type suite struct {
	wrap    func(vfs.FS) vfs.FS
	verdict verdict
	first   bool // stop at the first thing found
}

func (s *suite) found() bool { return s.verdict.lost+s.verdict.corrupt > 0 }

// run plays the script once. Before every operation that can change the disk it calls at with the operation's
// number; an error from at is the operation's. It returns the newest version that was promised to be safe.
func (s *suite) run(disk *vfs.Mem, at func(op, committed, attempted int) error) (committed int) {
	op, attempted := -1, 0
	disk.Hook = func(kind vfs.Op, _ string) error {
		if !kind.Writes() {
			return nil
		}
		op++
		return at(op, committed, attempted)
	}
	fsys := s.wrap(disk)
	for v := 1; v < len(script); v++ {
		attempted = v
		if save(fsys, v) == nil {
			committed = v
		}
	}
	disk.Hook = nil
	return committed
}

// powerLoss loses power before every operation, with 0, 50 or 90 % of what is not synced surviving.
func (s *suite) powerLoss(seeds int) {
	for seed := range uint64(seeds) {
		r, disk := rand.New(rand.NewPCG(seed, 1)), vfs.NewMem()
		s.run(disk, func(_, committed, attempted int) error {
			s.verdict.check(disk.Crash(r, []float64{0, .5, .9}[r.IntN(3)]), committed, attempted)
			return nil
		})
	}
}

// errKilled, as a fault, also fails what follows until the next Save: the process died, and another one goes on.
var errKilled = errors.New("killed")

// faults fails every operation once, in four ways, goes on, and loses power at the end and at half of the operations before.
func (s *suite) faults() {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC, &vfs.ShortWrite{Bytes: 100, Err: syscall.EIO}, errKilled} {
		for fail, reached := 0, true; reached && !(s.first && s.found()); fail++ {
			r, disk := rand.New(rand.NewPCG(uint64(fail), 2)), vfs.NewMem()
			reached = false
			killed := 0 // the version at which the process died
			committed := s.run(disk, func(op, committed, attempted int) error {
				if op == fail {
					reached = true
					if cause == errKilled {
						killed = attempted
					}
					return cause
				}
				if killed == attempted {
					return errKilled
				}
				if op > fail && r.IntN(2) == 0 {
					s.verdict.check(disk.Crash(r, []float64{0, .5, .9}[r.IntN(3)]), committed, attempted)
				}
				return nil
			})
			s.verdict.check(disk, committed, len(script)-1)
			s.verdict.check(disk.Crash(r, 0), committed, len(script)-1)
		}
	}
}

// damage flips and cuts, one at a time, the newest of two good snapshots, and expects the older one.
func (s *suite) damage(manifestFlips, payloadFlips, cuts int) {
	disk, r := vfs.NewMem(), rand.New(rand.NewPCG(3, 3))
	for v := 1; v <= 2; v++ {
		if err := save(s.wrap(disk), v); err != nil {
			return
		}
	}
	spoil := func(file string, f func(b []byte) []byte) {
		s.verdict.points++
		file = path.Join("ckpt", script[2], file)
		good, err := vfs.ReadFile(disk, file, 1<<20)
		if err != nil {
			return
		}
		disk.Damage(file, f)
		if name, skipped, err := Latest(disk, "ckpt"); err != nil {
			s.verdict.lost++
		} else if name != script[1] || len(skipped) != 1 || !errors.Is(skipped[0], ErrDamaged) {
			s.verdict.corrupt++
		}
		disk.Damage(file, func([]byte) []byte { return good })
	}
	flip := func(bit int) func(b []byte) []byte {
		return func(b []byte) []byte { bit %= 8 * len(b); b[bit/8] ^= 1 << (bit % 8); return b }
	}
	manifest, _ := vfs.ReadFile(disk, path.Join("ckpt", script[2], ManifestName), 1<<20)
	for bit := range min(8*len(manifest), manifestFlips) {
		spoil(ManifestName, flip(bit))
	}
	for n := range len(manifest) {
		spoil(ManifestName, func(b []byte) []byte { return b[:n] })
	}
	for range payloadFlips {
		spoil(fileNames[r.IntN(len(fileNames))], flip(r.IntN(1<<30)))
	}
	for cut := 1; cut <= cuts; cut++ {
		spoil(fileNames[0], func(b []byte) []byte { return b[:len(b)-cut] })
	}
	for range min(cuts, 1000) {
		spoil(fileNames[r.IntN(len(fileNames))], func(b []byte) []byte { return b[:r.IntN(len(b))] })
	}
	spoil(fileNames[0], func(b []byte) []byte { return append(b, 0) })
	spoil(ManifestName, func(b []byte) []byte { return append(b, '\n') })
}

func asIs(fsys vfs.FS) vfs.FS { return fsys }

func TestNoSnapshotIsLostOrCorruptAfterPowerLossAnywhere(t *testing.T) {
	start, s := time.Now(), suite{wrap: asIs}
	s.powerLoss(120)
	s.faults()
	t.Logf("%v in %v", s.verdict, time.Since(start).Round(time.Millisecond))
	assert.GreaterOrEqual(t, s.verdict.points, 20_000)
	assert.Zero(t, s.verdict.lost)
	assert.Zero(t, s.verdict.corrupt)
}

func TestEveryDamagedBitAndCutIsFound(t *testing.T) {
	start, s := time.Now(), suite{wrap: asIs}
	s.damage(1<<30, 10_000, 4096)
	t.Logf("%v in %v", s.verdict, time.Since(start).Round(time.Millisecond))
	assert.Greater(t, s.verdict.points, 10_000+4096+1000)
	assert.Zero(t, s.verdict.lost)
	assert.Zero(t, s.verdict.corrupt)
}

// constantHash is no checksum at all.
type constantHash struct{ hash.Hash }

func (constantHash) Write(b []byte) (int, error) { return len(b), nil }

// The suite must find each of the classic mistakes, or it proves nothing about the code that passes it.
func TestTheSuiteFindsEveryPlantedMistake(t *testing.T) {
	endsIn := func(suffix string) func(string) bool {
		return func(name string) bool { return strings.HasSuffix(name, suffix) }
	}
	for _, c := range []struct {
		mistake string
		wrap    func(vfs.FS) vfs.FS
	}{
		{"files not synced", vfstest.NoFileSync},
		{"new directory not synced", vfstest.NoDirSync(endsIn(tempSuffix))},
		{"directory inside not synced", vfstest.NoDirSync(endsIn("policy"))},
		{"parent not synced", vfstest.NoDirSync(endsIn("ckpt"))},
		{"sync error ignored", vfstest.IgnoreSyncError},
		{"sync retried", vfstest.RetrySync},
		{"write error ignored", vfstest.IgnoreWriteError},
		{"written in place, not renamed", func(fsys vfs.FS) vfs.FS {
			return vfstest.InPlace(&vfstest.Override{FS: fsys, RenameFunc: func(vfs.FS, string, string) error { return nil }})
		}},
		{"replaced by removing first", func(fsys vfs.FS) vfs.FS {
			return &vfstest.Override{FS: fsys, RenameFunc: func(fsys vfs.FS, old, new string) error {
				if strings.HasSuffix(new, oldSuffix) {
					return fsys.RemoveAll(old)
				}
				return fsys.Rename(old, new)
			}}
		}},
		{"older ones pruned first", func(fsys vfs.FS) vfs.FS {
			return &vfstest.Override{FS: fsys, MkdirFunc: func(fsys vfs.FS, name string) error {
				names, err := List(fsys, "ckpt")
				for _, old := range names {
					err = errors.Join(err, fsys.RemoveAll(path.Join("ckpt", old)))
				}
				return errors.Join(err, fsys.Mkdir(name))
			}}
		}},
		{"parent not synced before removing from it", func(fsys vfs.FS) vfs.FS {
			last := ""
			return &vfstest.Override{FS: fsys, SyncDirFunc: func(fsys vfs.FS, name string) error {
				before := last
				if last = name; name == "ckpt" && !strings.HasSuffix(before, tempSuffix) {
					return nil
				}
				return fsys.SyncDir(name)
			}}
		}},
		{"checksums left out", asIs},
	} {
		t.Run(c.mistake, func(t *testing.T) {
			if c.mistake == "checksums left out" {
				real := newHash
				newHash = func() hash.Hash { return constantHash{real()} }
				defer func() { newHash = real }()
			}
			s := suite{wrap: c.wrap, first: true}
			for _, detect := range []func(){
				func() { s.powerLoss(5) },
				func() { s.damage(500, 100, 20) },
				s.faults,
			} {
				if detect(); s.found() {
					break
				}
			}
			t.Log(s.verdict)
			require.True(t, s.found())
		})
	}
}
