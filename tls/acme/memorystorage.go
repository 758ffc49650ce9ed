package acme

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// memoryStorage is a certmagic.Storage of one issuance, in memory. certmagic makes the
// key, has it signed and leaves the result here, so that it meets no file that a
// power cut has damaged, and drops nothing for want of a place to store it.
type memoryStorage struct {
	mu    sync.Mutex
	files map[string][]byte
}

func newMemoryStorage() *memoryStorage { return &memoryStorage{files: make(map[string][]byte)} }

// Lock implements certmagic.Locker. Only one order knows this storage, and
// it holds the lock of the real one.
func (*memoryStorage) Lock(context.Context, string) error { return nil }

// Unlock implements certmagic.Locker.
func (*memoryStorage) Unlock(context.Context, string) error { return nil }

// Store implements certmagic.Storage.
func (s *memoryStorage) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[key] = slices.Clone(value)
	return nil
}

// Load implements certmagic.Storage.
func (s *memoryStorage) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.files[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return value, nil
}

// Delete implements certmagic.Storage.
func (s *memoryStorage) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, key)
	return nil
}

// Exists implements certmagic.Storage.
func (s *memoryStorage) Exists(ctx context.Context, key string) bool {
	_, err := s.Load(ctx, key)
	return err == nil
}

// List implements certmagic.Storage.
func (s *memoryStorage) List(_ context.Context, path string, _ bool) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for key := range s.files {
		if strings.HasPrefix(key, path+"/") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Stat implements certmagic.Storage.
func (s *memoryStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, err := s.Load(ctx, key)
	return certmagic.KeyInfo{Key: key, Modified: time.Now(), Size: int64(len(value)), IsTerminal: true}, err
}
