package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Opening a pipe for writing waits for a reader, and a reload must not.
func TestLogToAPipeThatNobodyReadsIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFile(pipe); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("got %v", err)
	}
}

// A network file system that is gone may be taken out of the way, and another one
// mounted in its place.
func TestALogFileThatHungCanBeOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, hung := filepath.Join(t.TempDir(), "log"), make(chan struct{})
		var late logFile
		_, err := openWithin(path, func() (logFile, error) {
			<-hung
			var err error
			late.File, err = os.Create(path)
			return late, err
		})
		if !errors.Is(err, disk.ErrNoAnswer) {
			t.Errorf("a file system that is gone: %v", err)
		}
		if f, err := openFile(path); err != nil {
			t.Errorf("another one in its place: %v", err)
		} else {
			f.Close()
		}
		close(hung)
		synctest.Wait()
		if _, err := late.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file that came too late is open: %v", err)
		}
	})
}

func openSink(t *testing.T, l *Logs, c Config) *Sink {
	t.Helper()
	if c.Level == "" {
		c.Level = "info"
	}
	s, err := l.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func lines(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if !json.Valid(line) {
			t.Errorf("torn: %q", line)
		}
	}
	return n
}

func TestNoLineIsLostOrTornWhileTheLogMovesAndIsRotated(t *testing.T) {
	const writers, each = 4, 500
	dir := t.TempDir()
	var stderr bytes.Buffer // read after Close only
	l := New(&stderr, func(int) {})
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				l.Logger().Info().Int("i", i).Msg("line")
			}
		})
	}
	for i := range 50 {
		path := filepath.Join(dir, fmt.Sprint("log", i%3))
		l.Swap(openSink(t, l, Config{File: config.Path(path)}))
		if err := os.Rename(path, filepath.Join(dir, fmt.Sprint("old", i))); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	l.Close()
	write(t, filepath.Join(dir, "stderr"), stderr.String())
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range paths {
		n += lines(t, path)
	}
	if n != writers*each {
		t.Errorf("%d lines, want %d", n, writers*each)
	}
}

func TestALoggerThatWasFetchedBeforeASwapWritesToTheNewSink(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer // read after Close only
	dropped := 0
	l := New(&stderr, func(n int) { dropped += n })
	l.Swap(openSink(t, l, Config{File: config.Path(filepath.Join(dir, "one"))}))
	fetched := l.Logger()
	l.Swap(openSink(t, l, Config{File: config.Path(filepath.Join(dir, "two"))}))
	fetched.Info().Msg("late")
	l.Swap(openSink(t, l, Config{}))
	fetched.Info().Msg("later")
	l.Close()
	if lines(t, filepath.Join(dir, "one")) != 0 || lines(t, filepath.Join(dir, "two")) != 1 {
		t.Error("the line went elsewhere")
	}
	if !strings.Contains(stderr.String(), "later") {
		t.Errorf("stderr has %q", &stderr)
	}
	if fetched.Info().Msg("too late"); dropped != 1 {
		t.Errorf("%d lines after the end are counted as dropped, want 1", dropped)
	}
}

func TestADiscardedLogLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	l := New(io.Discard, func(int) {})
	old := filepath.Join(dir, "old")
	write(t, old, "{}\n")
	for _, path := range []string{old, filepath.Join(dir, "new")} {
		l.Discard(openSink(t, l, Config{File: config.Path(path)}))
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) || lines(t, old) != 1 {
		t.Errorf("new: %v; old has %d lines", err, lines(t, old))
	}
}
