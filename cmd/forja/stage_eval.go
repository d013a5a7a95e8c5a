package main

import (
	"context"
	"errors"

	"forja/engine/recipe"
	"forja/engine/vfs"
)

func (a *app) stageEval(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	return errors.New("eval stages are being written")
}

func (a *app) stageNgram(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	return errors.New("ngram stages are being written")
}
