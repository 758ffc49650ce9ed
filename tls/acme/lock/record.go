package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recordSize is that of every lock file: a beat overwrites the file in its
// place, which a full disk does not keep it from.
const recordSize = 512

// record is what a lock file says, for the others and for people.
type record struct {
	Created  time.Time `json:"created"`
	Beat     uint64    `json:"beat"` // so that each record differs from the last
	Owner    string    `json:"owner"`
	Host     string    `json:"host"`
	Process  int       `json:"process"`
	Released bool      `json:"released"`
}

// write puts the record into a file.
func (r record) write(f *os.File) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	data = append(data, bytes.Repeat([]byte{' '}, max(recordSize-len(data), 1))...)
	data[len(data)-1] = '\n'
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Sync() // some shared filesystems do not, when a file is closed
}

// HeldError says which process holds a lock that Acquire gave up waiting for.
type HeldError struct {
	what, by string
	since    time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("another gateway%s has held the lock of %s since %s", e.by, e.what, e.since.UTC().Format(time.RFC3339))
}

// state is what is seen of a lock.
type state struct {
	number uint64 // zero: no process has held it yet, or certmagic does
	record string
	exists bool
}

// free reports whether the lock was given back. What cannot be read may be
// under way: it is held until it is stale.
func (s state) free() bool {
	var r record
	return !s.exists || json.Unmarshal([]byte(s.record), &r) == nil && r.Released
}

func (s state) heldBy(what string, seen time.Time) error {
	e := &HeldError{what: what, since: seen}
	var r record
	if json.Unmarshal([]byte(s.record), &r) == nil && !r.Created.IsZero() {
		e.since = r.Created
		if r.Host != "" {
			e.by = fmt.Sprintf(" (%s, process %d)", r.Host, r.Process)
		}
	}
	return e
}

// readState reads the highest number of a lock. Where there is none, it is the
// file that certmagic leaves beside the directory: an earlier version of the
// gateway may hold it, or have died with it.
func readState(dir string) (state, error) {
	numbers, err := readNumbers(dir)
	if err != nil {
		return state{}, err
	}
	s := state{number: highest(numbers)}
	record, err := os.ReadFile(numberPath(dir, s.number))
	s.record = string(record)
	// A number that is gone again made way for a higher one, at the next look.
	s.exists = err == nil || s.number > 0
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s, err
}

func readNumbers(dir string) ([]uint64, error) {
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

// highest is the number that counts; zero where there is none.
func highest(numbers []uint64) uint64 { return slices.Max(append(numbers, 0)) }

func numberPath(dir string, number uint64) string {
	if number == 0 {
		return strings.TrimSuffix(dir, ".d") + ".lock" // certmagic's
	}
	return filepath.Join(dir, strconv.FormatUint(number, 10))
}
