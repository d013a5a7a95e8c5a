package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheSimulatedCardWritesWhatTheProcessorWrites(t *testing.T) {
	args := []string{"generate", trained(t), "func ", "--sample.temperature", "0", "--sample.tokens", "12"}
	want := forja(t, append(args, "--device", "cpu")...).done(t).stdout
	assert.NotEmpty(t, want)
	for _, device := range []string{"sim", "sim:80"} {
		assert.Equal(t, want, forja(t, append(args, "--device", device)...).done(t).stdout, device)
	}
}

func TestAPlanForACardCountsWhatTheCardHolds(t *testing.T) {
	r := forja(t, "plan", "tiny", "--device", "sim").done(t)
	assert.Contains(t, r.stdout, "H100")
}

func TestDevicesThatDoNotExistAreNamed(t *testing.T) {
	for _, name := range []string{"gpu", "sim:70", "cpu:1", "auto:0"} {
		r := forja(t, "plan", "tiny", "--device", name)
		assert.Equal(t, exitUsage, r.code, name)
		assert.Contains(t, r.err, `"`+name+`" is not a device`)
		r = forja(t, "generate", trained(t), "x", "--device", name)
		assert.Equal(t, exitDevice, r.code, name)
		assert.Contains(t, r.err, `there is no device "`+name+`"`)
	}
}
