package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"forja/engine/sched"
)

func TestAPipelineEndsWithTheCodeOfTheSignalThatItGotItself(t *testing.T) {
	saved := fmt.Errorf("web: %w", &sched.StageError{Stage: "crawl", Code: exitPreempted})
	for signal, want := range map[os.Signal]int{os.Interrupt: exitInterrupted, syscall.SIGTERM: exitPreempted} {
		ctx, stop := context.WithCancelCause(t.Context())
		stop(&stopRequest{signal})
		assert.Equal(t, want, exitCode(ctx, saved), signal)
	}
	assert.Equal(t, exitPreempted, exitCode(t.Context(), saved), "the stage alone was told to stop")
	failed := &sched.StageError{Stage: "crawl", Code: exitFailed}
	assert.Equal(t, exitFailed, exitCode(t.Context(), failed))
}
