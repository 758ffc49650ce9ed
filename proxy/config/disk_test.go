package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// stalled opens files of a file system that does not answer for some of them,
// until it does.
type stalled struct {
	names  []string // how their paths end
	answer chan struct{}
	opened atomic.Int64 // of those
}

func (s *stalled) open(path string) (*os.File, error) {
	for _, name := range s.names {
		if filepath.Base(path) == name {
			s.opened.Add(1)
			<-s.answer
		}
	}
	return os.Open(path)
}

func TestAFileSystemThatDoesNotAnswerHoldsNoLoad(t *testing.T) {
	path := write(t, map[string]string{
		"config.yaml": "listeners: [{name: a, address: ':1', tls: {cert: other, key: other}}]\ntoken: token\n",
		"token":       "secret", "other": "x",
	})
	token := filepath.Join(filepath.Dir(path), "token")
	other := filepath.Join(filepath.Dir(path), "other")
	synctest.Test(t, func(t *testing.T) {
		fs := &stalled{names: []string{"token", "other"}, answer: make(chan struct{})}
		d := disk.New(context.Background(), disk.Timeout)
		var s sample
		load := func(ctx context.Context) (*config.Snapshot, time.Duration, error) {
			began := time.Now()
			snapshot, err := config.Load(ctx, path, config.Options{Disk: d, Open: fs.open}, &s)
			return snapshot, time.Since(began), err
		}
		for range 3 {
			snapshot, took, err := load(t.Context())
			var errs config.Errors
			if !errors.As(err, &errs) || took != 10*time.Second {
				t.Fatalf("%v after %v", err, took)
			}
			for _, want := range []string{
				path + ":1:50: listeners[0].tls.cert: cannot read " + other + ": the file system does not answer within 10s",
				path + ":2:8: token: cannot read " + token + ": not tried, since the file system does not answer for " + other,
			} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nwant %s", err, want)
				}
			}
			if !snapshot.Hung() || snapshot.Moved() != "" {
				t.Error("the snapshot does not say that it knows nothing")
			}
		}
		if fs.opened.Load() != 1 {
			t.Errorf("%d threads hang for one file", fs.opened.Load())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, took, err := load(ctx); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("%v after %v; want the end of the context", err, took)
		}
		close(fs.answer)
		synctest.Wait()
		if snapshot, _, err := load(t.Context()); err != nil || string(s.Token.Data) != "secret" || snapshot.Hung() {
			t.Errorf("it answers again: %v", err)
		}
	})
}

func TestFilesThatHangAreBoundedInNumber(t *testing.T) {
	const most, named = 16, 20
	fs := &stalled{}
	for i := range named {
		fs.names = append(fs.names, "token"+string(rune('a'+i)))
	}
	synctest.Test(t, func(t *testing.T) {
		fs.answer = make(chan struct{})
		d := disk.New(context.Background(), disk.Timeout)
		for _, name := range fs.names {
			var s sample
			path := write(t, map[string]string{"config.yaml": "listeners: []\ntoken: " + name + "\n", name: "x"})
			if _, err := config.Load(t.Context(), path, config.Options{Disk: d, Open: fs.open}, &s); err == nil || !strings.Contains(err.Error(), "does not answer") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if fs.opened.Load() != most {
			t.Errorf("%d threads hang", fs.opened.Load())
		}
		close(fs.answer)
	})
}
