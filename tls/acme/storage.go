package acme

import (
	"context"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

// endTimeout is how long an operation that is under way is waited for when the
// account ends.
const endTimeout = 2 * time.Second

// storage is certmagic's, on a disk that may not answer.
type storage struct {
	*certmagic.FileStorage
	disk *disk.Disk
}

// Load reads the file of a key.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	return disk.Do(ctx, s.disk, "read", s.Filename(key), func() ([]byte, error) { return s.FileStorage.Load(ctx, key) })
}

// Store replaces the file of a key.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	return s.do(ctx, "write", key, func() error { return s.FileStorage.Store(ctx, key, value) })
}

// Delete removes the file of a key, if it is there.
func (s *storage) Delete(ctx context.Context, key string) error {
	return s.do(ctx, "remove", key, func() error { return s.FileStorage.Delete(ctx, key) })
}

// Exists reports whether a key has a file.
func (s *storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List returns the keys below a prefix.
func (s *storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	return disk.Do(ctx, s.disk, "list", s.Filename(prefix), func() ([]string, error) {
		return s.FileStorage.List(ctx, prefix, recursive)
	})
}

// Stat describes the file of a key.
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	return disk.Do(ctx, s.disk, "stat", s.Filename(key), func() (certmagic.KeyInfo, error) { return s.FileStorage.Stat(ctx, key) })
}

// do is disk.Do for the file of a key, where there is nothing but an error.
func (s *storage) do(ctx context.Context, op, key string, f func() error) error {
	_, err := disk.Do(ctx, s.disk, op, s.Filename(key), func() (struct{}, error) { return struct{}{}, f() })
	return err
}
