package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestPathsAreRelativeToTheFileAsNamed(t *testing.T) {
	// As Kubernetes mounts do it: config.yaml -> ..data/config.yaml, ..data -> ..v1.
	path := write(t, map[string]string{
		"..v1/config.yaml": "listeners: []\ntoken: token\n",
		"..v1/token":       "one",
		"..v2/token":       "two",
		"..v2/config.yaml": "listeners: []\ntoken: token\n",
	})
	dir := filepath.Dir(path)
	for _, link := range [][2]string{{"..v1", "..data"}, {"..data/config.yaml", "config.yaml"}, {"..data/token", "token"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	var s sample
	first, err := load(path, &s)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "token"); s.Token.Path != want || string(s.Token.Data) != "one" {
		t.Errorf("token %q from %s, want it from %s", s.Token.Data, s.Token.Path, want)
	}
	if err := os.Symlink("..v2", filepath.Join(dir, "..tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	second, err := load(path, &s)
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Token.Data) != "two" || first.Sum == second.Sum {
		t.Errorf("after the swap: token %q, sum changed: %t", s.Token.Data, first.Sum != second.Sum)
	}
}

func TestFilesThatAreNoRegularFilesAreRefused(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"it is not a regular file":  func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"it is a directory":         func(path string) error { return os.Mkdir(path, 0o755) },
		"no such file or directory": func(path string) error { return nil },
		"it is larger than 8MiB":    func(path string) error { return os.WriteFile(path, make([]byte, 8<<20+1), 0o644) },
		"too many levels of symbolic links": func(path string) error {
			return os.Symlink(path, path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, map[string]string{"config.yaml": "listeners: []\ntoken: odd\n"})
			odd := filepath.Join(filepath.Dir(path), "odd")
			if err := make(odd); err != nil {
				t.Fatal(err)
			}
			var s sample
			snapshot, err := load(path, &s)
			if want := path + ":2:8: token: cannot read " + odd + ": " + name; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if want := []string{path, odd}; !reflect.DeepEqual(snapshot.Files, want) {
				t.Errorf("files to watch %q, want %q", snapshot.Files, want)
			}
		})
	}
}

func TestTheFileItselfIsBounded(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": strings.Repeat("#", 16<<20+1)})
	var s sample
	if _, err := load(path, &s); err == nil || !strings.HasSuffix(err.Error(), "config.yaml: cannot read it: it is larger than 16MiB") {
		t.Errorf("got %v", err)
	}
	snapshot, err := load(path+".missing", &s)
	var errs config.Errors
	if !errors.As(err, &errs) || snapshot.Files[0] != path+".missing" {
		t.Errorf("a missing file gave %v, files %q", err, snapshot.Files)
	}
}

func TestAFailedLoadLeavesTheTargetAlone(t *testing.T) {
	s := sample{Derived: "before"}
	if _, err := load(write(t, map[string]string{"config.yaml": "listeners: []\nlog: {level: loud}\n"}), &s); err == nil {
		t.Fatal("loaded")
	}
	if !reflect.DeepEqual(s, sample{Derived: "before"}) {
		t.Errorf("the target is %+v", s)
	}
}

func TestASumChangesWithEveryFile(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": "listeners: []\ntoken: token\n", "token": "a"})
	token := filepath.Join(filepath.Dir(path), "token")
	sum := func() [32]byte {
		var s sample
		snapshot, _ := load(path, &s)
		return snapshot.Sum
	}
	first := sum()
	if sum() != first {
		t.Error("the same files have two sums")
	}
	if err := os.WriteFile(token, []byte("b"), 0o644); err != nil {
		t.Fatal(err)
	}
	second := sum()
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	if third := sum(); first == second || second == third || first == third {
		t.Error("a changed or removed file left the sum as it was")
	}
}

const torn = "listeners: [{name: a, address: ':1', tls: {cert: crt, key: key}}]\n"

func TestATornPairIsWaitedFor(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": torn, "crt": "new", "key": "old"})
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(2 * time.Second)
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "key"), []byte("new"), 0o644); err != nil {
				t.Error(err)
			}
		}()
		begin := time.Now()
		var s sample
		if _, err := config.Load(t.Context(), path, config.Options{}, &s); err != nil {
			t.Fatal(err)
		}
		if string(s.Listeners[0].TLS.Key.Data) != "new" || time.Since(begin) > 2200*time.Millisecond {
			t.Errorf("key %q after %v", s.Listeners[0].TLS.Key.Data, time.Since(begin))
		}
	})
}

func TestATornPairThatStaysTornIsAnError(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": torn, "crt": "new", "key": "old"})
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var s sample
		snapshot, err := config.Load(t.Context(), path, config.Options{}, &s)
		var errs config.Errors
		if !errors.As(err, &errs) || len(errs) != 1 || !errs[0].Transient || errs[0].Path != "listeners[0].tls.key" {
			t.Fatalf("got %v", err)
		}
		if waited := time.Since(begin); waited < 2800*time.Millisecond || waited > 3*time.Second {
			t.Errorf("waited %v, want about 3s", waited)
		}
		if len(snapshot.Files) != 3 {
			t.Errorf("files to watch: %q", snapshot.Files)
		}
	})
}

func TestOtherMistakesAreNotWaitedFor(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": torn + "log: {level: loud}\n", "crt": "new", "key": "old"})
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var s sample
		_, err := config.Load(t.Context(), path, config.Options{}, &s)
		var errs config.Errors
		if !errors.As(err, &errs) || len(errs) != 2 || time.Since(begin) > 0 {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": torn, "crt": "new", "key": "old"})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var s sample
		_, err := config.Load(ctx, path, config.Options{RetryFor: time.Hour}, &s)
		var errs config.Errors
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &errs) {
			t.Errorf("got %v", err)
		}
	})
}

// moving rewrites a file from within the Validate of each of its first loads.
type moving struct {
	Token config.Secret `yaml:"token"`
}

func (m *moving) Validate(s *config.Scope) {
	if n := len(m.Token.Data); n < 3 {
		_ = os.WriteFile(m.Token.Path, m.Token.Data[:n:n], 0o644)
		_ = os.WriteFile(m.Token.Path, append(m.Token.Data[:n:n], 'x'), 0o644)
		s.Errorf("token", "found in a mixture")
	}
}

func TestASnapshotIsOfOneMoment(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": "token: token\n", "token": ""})
	synctest.Test(t, func(t *testing.T) {
		var m moving
		if _, err := config.Load(t.Context(), path, config.Options{}, &m); err != nil {
			t.Fatal(err)
		}
		if string(m.Token.Data) != "xxx" {
			t.Errorf("token %q", m.Token.Data)
		}
	})
}
