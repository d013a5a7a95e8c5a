package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/device"
)

func TestDoctorTellsOfProcessorCardsAndDisk(t *testing.T) {
	r := forja(t, "doctor", "--dir", t.TempDir())
	assert.Contains(t, []int{exitDone, exitCheck}, r.code, r.err)
	for _, what := range []string{"cpu", "GFLOP/s", "nvidia", "disk", "free in", "verdict: "} {
		assert.Contains(t, r.stdout, what)
	}
	var d struct {
		Findings []struct{ What, Verdict string }
		Verdict  string
	}
	r = forja(t, "doctor", "--json", "--dir", t.TempDir())
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &d), r.stdout)
	require.GreaterOrEqual(t, len(d.Findings), 3)
	assert.Equal(t, "cpu", d.Findings[0].What)
}

func TestDoctorRefusesADiskThatCannotBeWritten(t *testing.T) {
	r := forja(t, "doctor", "--dir", filepath.Join(t.TempDir(), "nowhere"))
	assert.Equal(t, exitCheck, r.code)
	assert.Contains(t, r.stdout, "refuse  disk")
	assert.Contains(t, r.stdout, "choose another directory with --dir")
}

func TestADiagnosisIsAsBadAsItsWorstFinding(t *testing.T) {
	var d diagnosis
	for _, v := range []device.Verdict{device.OK, device.Warn, device.OK} {
		d.add(finding{Verdict: v})
	}
	assert.Equal(t, device.Warn, d.Verdict)
	d.add(finding{Verdict: device.Refuse})
	assert.Equal(t, device.Refuse, d.Verdict)
}
