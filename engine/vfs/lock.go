package vfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
)

// LockFile is the name of the lock file in a directory that one process uses at a time.
const LockFile = "LOCK"

// LockedError says who holds a directory. errors.Is finds [ErrLocked] in it.
type LockedError struct {
	Dir  string
	PID  int    // 0 if unknown
	Host string // "" if unknown
}

func (e *LockedError) Error() string {
	who := "another forja"
	if here, _ := os.Hostname(); e.PID != 0 && e.Host == here {
		who += fmt.Sprintf(" (pid %d)", e.PID)
	} else if e.PID != 0 {
		who += fmt.Sprintf(" (pid %d on %s)", e.PID, e.Host)
	}
	return fmt.Sprintf("%s is using %s: stop it first, or choose another directory", who, e.Dir)
}

func (e *LockedError) Unwrap() error { return ErrLocked }

// holder is the content of a lock file.
type holder struct {
	PID  int    `json:"pid"`
	Host string `json:"host"`
}

// Lock takes a directory for this process until the returned function is called or the process ends, however it
// ends. If somebody else has it, the error is a [*LockedError]. The lock file stays behind: removing it would race.
func Lock(fsys FS, dir string) (unlock func() error, err error) {
	name := path.Join(dir, LockFile)
	f, err := fsys.Lock(name)
	if errors.Is(err, ErrLocked) {
		return nil, lockedError(fsys, dir)
	}
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	b, err := json.Marshal(holder{os.Getpid(), host})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Write(append(b, '\n'))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() error { return errors.Join(f.Truncate(0), f.Close()) }, nil
}

func lockedError(fsys FS, dir string) error {
	e := &LockedError{Dir: fsys.Path(dir)}
	var h holder
	if b, err := ReadFile(fsys, path.Join(dir, LockFile), 4096); err == nil && json.Unmarshal(b, &h) == nil {
		e.PID, e.Host = h.PID, h.Host
	}
	return e
}
