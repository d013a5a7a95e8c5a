package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"forja/engine/sched"
	"forja/kernels/cuda/driver"
)

func TestSurveyRefusesSickCardsAndThoseThatNVMLDoesNotShow(t *testing.T) {
	m := &fakeMonitor{hot: 50, free: 10 << 30, xids: make(chan int)}
	h := watchCards(t.Context(), m)
	defer h.close()
	cards := []driver.Card{{Ordinal: 0, UUID: "GPU-a"}, {Ordinal: 1, UUID: "GPU-b"}}
	r := h.survey(cards)
	assert.Equal(t, sched.Reading{Free: 10<<30 - spare}, r["cuda:0"])
	assert.Contains(t, r["cuda:1"].Refused, "NVML does not show it")

	m.xids <- 79
	assert.Eventually(t, func() bool { return h.survey(cards)["cuda:0"].Refused != "" }, 5*time.Second, time.Millisecond)
	assert.Contains(t, h.survey(cards)["cuda:0"].Refused, "Xid 79 (fell off the bus)")
}
