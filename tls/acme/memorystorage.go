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
type memoryStorage struct{ files sync.Map } // []byte by key

// get returns what is stored under a key; nil where there is nothing.
func (s *memoryStorage) get(key string) []byte {
	value, _ := s.files.Load(key)
	data, _ := value.([]byte)
	return data
}

// Lock implements certmagic.Locker. Only one order knows this storage, and
// it holds the lock of the real one.
func (*memoryStorage) Lock(context.Context, string) error { return nil }

// Unlock implements certmagic.Locker.
func (*memoryStorage) Unlock(context.Context, string) error { return nil }

// Store implements certmagic.Storage.
func (s *memoryStorage) Store(_ context.Context, key string, value []byte) error {
	s.files.Store(key, append([]byte{}, value...))
	return nil
}

// Load implements certmagic.Storage.
func (s *memoryStorage) Load(_ context.Context, key string) ([]byte, error) {
	if data := s.get(key); data != nil {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

// Delete implements certmagic.Storage.
func (s *memoryStorage) Delete(_ context.Context, key string) error {
	s.files.Delete(key)
	return nil
}

// Exists implements certmagic.Storage.
func (s *memoryStorage) Exists(_ context.Context, key string) bool { return s.get(key) != nil }

// List implements certmagic.Storage.
func (s *memoryStorage) List(_ context.Context, path string, _ bool) (keys []string, _ error) {
	for key := range s.files.Range {
		if key := key.(string); strings.HasPrefix(key, path+"/") {
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
