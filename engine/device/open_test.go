package device

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAMachineWithoutADriverIsNoSurprise(t *testing.T) {
	m, err := Open()
	if err == nil {
		m.Close()
		t.Skip("this machine has a driver")
	}
	var absent *AbsentError
	if !assert.True(t, errors.As(err, &absent)) {
		return
	}
	assert.ErrorContains(t, err, "no NVIDIA driver: ")
}
