package acme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// lockRecord is what a lock file says, for the others and for people.
type lockRecord struct {
	Created  time.Time `json:"created"`
	Beat     uint64    `json:"beat"` // so that each record differs from the last
	Owner    string    `json:"owner"`
	Host     string    `json:"host"`
	Process  int       `json:"process"`
	Released bool      `json:"released"`
}

// heldError says who holds a lock that was waited for.
type heldError struct {
	what, by string
	since    time.Time
}

func (e *heldError) Error() string {
	return fmt.Sprintf("another gateway%s has held the lock of %s since %s", e.by, e.what, e.since.UTC().Format(time.RFC3339))
}

// lockState is what is seen of a lock.
type lockState struct {
	number uint64 // zero: no process has held it yet, or certmagic does
	record []byte
	exists bool
}

func (s lockState) same(o lockState) bool {
	return s.number == o.number && s.exists == o.exists && bytes.Equal(s.record, o.record)
}

// free reports whether the lock was given back. What cannot be read may be
// under way: it is held until it is stale.
func (s lockState) free() bool {
	var r lockRecord
	return !s.exists || json.Unmarshal(s.record, &r) == nil && r.Released
}

func (s lockState) heldError(what string, seen time.Time) error {
	e := &heldError{what: what, since: seen}
	var r lockRecord
	if json.Unmarshal(s.record, &r) == nil && !r.Created.IsZero() {
		e.since = r.Created
		if r.Host != "" {
			e.by = fmt.Sprintf(" (%s, process %d)", r.Host, r.Process)
		}
	}
	return e
}

// readLock reads the highest number of a lock. Where there is none, it is the
// file that certmagic leaves beside the directory: an earlier version of the
// gateway may hold it, or have died with it.
func readLock(dir string) (lockState, error) {
	numbers, err := lockNumbers(dir)
	if err != nil {
		return lockState{}, err
	}
	var s lockState
	for _, n := range numbers {
		s.number = max(s.number, n)
	}
	s.record, err = os.ReadFile(lockPath(dir, s.number))
	// A number that is gone again made way for a higher one, at the next look.
	s.exists = err == nil || s.number > 0
	if missing(err) {
		err = nil
	}
	return s, err
}

func lockNumbers(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

func lockPath(dir string, number uint64) string {
	if number == 0 {
		return strings.TrimSuffix(dir, ".d") + ".lock" // certmagic's
	}
	return filepath.Join(dir, strconv.FormatUint(number, 10))
}
