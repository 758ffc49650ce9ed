package config

import (
	"context"
	"errors"
	"time"
)

// Options are what Load takes from its surroundings. The zero value is usable.
type Options struct {
	// Env resolves ${NAME}; nil is the process environment.
	Env func(string) (string, bool)
	// RetryFor bounds how long Load waits for files that somebody is in the
	// middle of replacing; 0 is 3s, negative is not at all.
	RetryFor time.Duration
	// RetryEvery is the pause between two tries; 0 is 100ms.
	RetryEvery time.Duration
}

// Snapshot is what a Load read.
type Snapshot struct {
	// Path is the absolute path of the YAML file, symbolic links unresolved.
	Path string
	// Files are the absolute paths of the YAML file, first, and of every file
	// that it names, the unreadable ones included, so that all can be watched.
	Files []string
	// Sum changes with the content of any of Files.
	Sum [32]byte
	// Warnings are in the order of the file.
	Warnings []Error
}

// Load reads the YAML file and every file it names into dst, a pointer to a
// struct.
func Load(ctx context.Context, path string, opts Options, dst any) (*Snapshot, error) {
	return &Snapshot{}, errors.New("loading configuration")
}

// Defaults applies the defaults of dst, a pointer to a struct.
func Defaults(dst any) error { return nil }

// Fingerprint sums canonical content.
func Fingerprint(v any) [32]byte { return [32]byte{} }

// Schema is the JSON Schema of the file.
func Schema(v any, title string) ([]byte, error) { return nil, nil }

// Suggest returns `; did you mean "x"?` for the candidate closest to name, or "".
func Suggest(name string, candidates []string) string { return "" }
