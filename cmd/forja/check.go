package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"forja/engine/recipe"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
)

// check refuses a stage that could not run, before anything is written: what it reads must be there, and training must
// fit the device.
func (a *app) check(ctx context.Context, s *recipe.Stage) error {
	for _, x := range []struct{ key, path string }{
		{"base", s.Base}, {"tokenizer.path", s.Tokenizer.Path}, {"data.path", s.Data.Path}, {"data.train", s.Data.Train},
		{"data.val", s.Data.Val}, {"eval.choices", s.Eval.Choices}, {"crawl.previous", s.Crawl.Previous},
	} {
		if x.path == "" || strings.HasPrefix(x.path, "@") || strings.Contains(x.path, "://") {
			continue // a shared key that this kind of stage does not read, or a store that is no folder
		}
		if _, err := os.Stat(x.path); errors.Is(err, fs.ErrNotExist) {
			return s.Errorf(x.key, "there is no file or folder %q", x.path)
		} else if err != nil {
			return s.Errorf(x.key, "%v", err)
		}
	}
	switch s.Kind {
	case "crawl":
		_, err := crawlOf(s, ".")
		return err
	case "filter":
		_, err := newJudge(s, "")
		return err
	case "pretrain", "sft":
		_, err := a.planStage(ctx, s, 0)
		return err
	}
	return nil
}

// verify reads a model directory that forja made against its list of checksums: a flipped bit in a weight would
// otherwise go unseen. A directory without the list, as others make them, is taken as it is.
func verify(dir string) error {
	d, err := vfs.OS(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Stat(snapshot.ManifestName); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err = snapshot.Verify(d, "."); errors.Is(err, snapshot.ErrDamaged) {
		run := filepath.Dir(filepath.Clean(dir))
		return fmt.Errorf("%w\n   use another copy: the checkpoints of a run are models too (%s), and --resume writes model anew\n   if you changed the file yourself, remove %s",
			err, filepath.Join(run, "ckpt"), filepath.Join(dir, snapshot.ManifestName))
	}
	return err
}
