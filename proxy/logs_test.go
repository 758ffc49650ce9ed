package proxy

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// Opening a pipe for writing waits for a reader, and a reload must not.
func TestLogToAPipeThatNobodyReadsIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openLog(pipe); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("got %v", err)
	}
}
