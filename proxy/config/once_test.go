package config_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

type (
	upper string
	pair  [2]string
)

func TestAFileIsParsedOnceByAllThatNameIt(t *testing.T) {
	var cfg struct {
		List []config.File   `yaml:"list"`
		Keys []config.Secret `yaml:"keys"`
	}
	path := write(t, map[string]string{"config.yaml": "list: [a.pem, a.pem, b.pem]\nkeys: [a.pem, a.pem]\n", "a.pem": "a\n", "b.pem": "b\n"})
	if _, err := load(path, &cfg); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	read := func(f config.File) (upper, error) {
		return config.ParseOnce(func() (upper, error) {
			calls.Add(1)
			return upper(strings.ToUpper(string(f.Data))), errors.New(string(f.Data))
		}, f)
	}
	var all sync.WaitGroup
	for range 4 {
		for i, want := range []upper{"A\n", "A\n", "B\n"} {
			all.Go(func() {
				if got, err := read(cfg.List[i]); got != want || err == nil || !strings.EqualFold(err.Error(), string(want)) {
					t.Errorf("file %d is read as %q, %v", i, got, err)
				}
			})
		}
		for _, k := range cfg.Keys { // of another content: without the newline
			all.Go(func() {
				if got, _ := read(k.File); got != "A" {
					t.Errorf("the secret is read as %q", got)
				}
			})
		}
	}
	all.Wait()
	if n := calls.Load(); n != 3 {
		t.Errorf("three contents were parsed %d times", n)
	}
	// Of the same files in another order, with one more, or of another type.
	calls.Store(0)
	both := func(files ...config.File) {
		_, _ = config.ParseOnce(func() (pair, error) { calls.Add(1); return pair{}, nil }, files...)
	}
	a, b := cfg.List[0], cfg.List[2]
	for range 2 {
		both(a, b)
		both(b, a)
		both(a, b, config.File{})
		both(a, b, cfg.Keys[0].File)
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("three combinations of files were parsed %d times", n)
	}
}

func TestOfAFileThatWasNotLoadedNothingIsRemembered(t *testing.T) {
	var calls int
	read := func(f config.File) {
		_, _ = config.ParseOnce(func() (upper, error) { calls++; return "", nil }, f)
	}
	f := config.File{Path: "/a.pem", Data: []byte("a")}
	read(f)
	read(f)
	read(config.File{})
	read(config.File{})
	if calls != 4 {
		t.Errorf("it was parsed %d times", calls)
	}
	calls = 0
	made := config.NewFile(t.Name(), []byte("a"))
	again := made
	read(made)
	read(again)
	if calls != 1 || made.IsZero() || made.Origin != t.Name() {
		t.Errorf("content of %v was parsed %d times", made.Origin, calls)
	}
}
