package acme

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

// tryStorageWithin is tryStorage on a disk that may not answer.
func tryStorageWithin(d *disk.Disk, path string) (warning string, err error) {
	type judged struct {
		warning string
		err     error
	}
	j, err := disk.Do(context.Background(), d, "stat", path, func() (judged, error) {
		warning, err := tryStorage(path)
		return judged{warning, err}, nil
	})
	if err != nil {
		return fmt.Sprintf("acme.storage %s: %v. No certificate that is stored there serves, and none is obtained or renewed, until it does", path, errors.Unwrap(err)), nil
	}
	return j.warning, j.err
}

// tryStorage tries whether certificates can be kept in a directory. It leaves
// nothing behind: a directory that is not there is made with the first file. What
// may pass, and does not keep a stored certificate from serving, is a warning.
func tryStorage(path string) (warning string, err error) {
	existing := path
	for {
		info, err := os.Stat(existing)
		if err == nil && !info.IsDir() {
			return "", fmt.Errorf("acme.storage %s: %s is a file; move it away, or name another directory", path, existing)
		}
		if parent := filepath.Dir(existing); (missing(err) || errors.Is(err, syscall.ENOTDIR)) && parent != existing {
			existing = parent
			continue
		}
		if err == nil {
			err = tryDirectory(existing, existing == path)
		}
		return judgeStorage(path, existing == path, err)
	}
}

// tryDirectory makes a file in a directory, or a directory, and removes it again.
func tryDirectory(path string, file bool) error {
	if !file {
		dir, err := os.MkdirTemp(path, ".mcpgateway-*")
		if err != nil {
			return err
		}
		return os.Remove(dir)
	}
	f, err := os.CreateTemp(path, ".check-*")
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("mcpgateway"))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// judgeStorage says what a failed try means, and what is to be done.
func judgeStorage(path string, exists bool, err error) (warning string, _ error) {
	var passing string
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("acme.storage %s cannot be written by the gateway's user, uid %d, so that each start would order new certificates; give the directory to that user: %w", path, os.Getuid(), err)
	case errors.Is(err, syscall.ENOSPC):
		passing = "is on a disk that is full; make room"
	case errors.Is(err, syscall.EDQUOT):
		passing = "has used its disk quota up; make room, or raise the quota"
	case errors.Is(err, syscall.EROFS) && exists:
		passing = "is on a filesystem that is read-only; mount it for writing"
	case errors.Is(err, syscall.EROFS):
		return "", fmt.Errorf("acme.storage %s does not exist, and its filesystem is read-only; mount a directory there that can be written: %w", path, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EINVAL), !exists:
		return "", fmt.Errorf("acme.storage %s cannot be a directory; name another one: %w", path, err)
	default:
		passing = "cannot be written"
	}
	return fmt.Sprintf("acme.storage %s %s (%v). Certificates that are stored there serve; none is obtained or renewed until it can be written", path, passing, err), nil
}
