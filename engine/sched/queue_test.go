package sched

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

func newQueue(t *testing.T) (*Queue, *vfs.Mem) {
	m := vfs.NewMem()
	q, err := OpenQueue(m)
	require.NoError(t, err)
	return q, m
}

func TestSubmittedJobIsListedAndFound(t *testing.T) {
	q, _ := newQueue(t)
	j, err := q.Submit(Job{Name: "chat-lora", Priority: 50, Args: []string{"sft"}})
	require.NoError(t, err)
	assert.Regexp(t, `^chat-lora-[a-z0-9]{6}$`, j.ID)
	assert.Equal(t, 5*time.Minute, j.StopDuration)
	jobs, problems := q.List()
	require.Empty(t, problems)
	require.Len(t, jobs, 1)
	assert.Equal(t, Inbox, jobs[0].State)
	assert.Equal(t, []string{"sft"}, jobs[0].Args)
	found, err := q.Find("chat")
	require.NoError(t, err)
	assert.Equal(t, j.ID, found.ID)

	_, err = q.Submit(Job{ID: j.ID})
	assert.ErrorContains(t, err, "exists already")
	_, err = q.Submit(Job{Name: "chat-lora"})
	require.NoError(t, err)
	_, err = q.Find("chat")
	assert.ErrorContains(t, err, "beginning of 2 jobs")
	_, err = q.Find("x")
	assert.ErrorIs(t, err, ErrNoJob)
	_, err = q.Find("")
	assert.ErrorIs(t, err, ErrNoJob)
}

func TestCancelIsSeenWithoutAScheduler(t *testing.T) {
	q, _ := newQueue(t)
	j, err := q.Submit(Job{Name: "a"})
	require.NoError(t, err)
	require.NoError(t, q.Cancel(j.ID))
	require.NoError(t, q.Cancel(j.ID))
	jobs, _ := q.List()
	assert.True(t, jobs[0].Cancelled)
	assert.ErrorIs(t, q.Cancel("../x"), ErrNoJob)
}

func TestBadJobsAreRefused(t *testing.T) {
	q, _ := newQueue(t)
	for _, j := range []Job{{ID: "../a"}, {ID: "a", Priority: 101}, {ID: "a", Priority: -1}, {ID: "a", Restarts: -1}} {
		_, err := q.Submit(j)
		assert.Error(t, err)
	}
}

func TestDamagedJobFileIsReportedAndLeftAlone(t *testing.T) {
	q, m := newQueue(t)
	_, err := q.Submit(Job{ID: "good"})
	require.NoError(t, err)
	for name, text := range map[string]string{"pending/bad.json": "{", "pending/other.json": `{"id":"x"}`,
		"running/key.json": `{"id":"key","what":1}`, "inbox/big.json": strings.Repeat(" ", maxJobFile+1)} {
		require.NoError(t, vfs.WriteFile(m, name, []byte(text)))
	}
	jobs, problems := q.List()
	assert.Len(t, jobs, 1)
	assert.GreaterOrEqual(t, len(problems), 4)
	for _, p := range problems {
		assert.NotEmpty(t, p.Error())
	}
	_, err = m.Stat("pending/bad.json")
	assert.NoError(t, err)
}

func FuzzJobFile(f *testing.F) {
	f.Add([]byte(`{"id":"a","priority":3,"demand":{"device":"cuda","bytes":-5}}`))
	f.Add([]byte(`{"id":"a","submitted":"2030-01-01T00:00:00Z","result":{"outcome":"failed","code":1,"at":"x"}}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := vfs.NewMem()
		q, err := OpenQueue(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFile(m, "pending/a.json", b); err != nil {
			t.Fatal(err)
		}
		jobs, problems := q.List()
		if len(jobs) == 0 && len(problems) == 0 {
			t.Fatal("a job file vanished")
		}
		for i := range jobs {
			if err := q.write(&jobs[i]); err != nil {
				t.Fatalf("a job that was read cannot be written: %v", err)
			}
		}
	})
}
