package config_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

var update = flag.Bool("update", false, "rewrite the expected messages of testdata")

// environment is what the corpus sees.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"PORT": "8080", "WORD": "secret-word", "EMPTY": "", "LEVEL": "debug", "YES": "true",
		"YAML": "a, b: {c: d}\n- e # f", "NAME": "public", "REF": "${PORT}", "WAIT": "20s",
	}[name]
	return value, ok
}

func load(path string, dst any) (*config.Snapshot, error) {
	return config.Load(context.Background(), path, config.Options{Env: environment, RetryFor: -1}, dst)
}

// TestBadFilesGiveExactMessages reads each testdata/*.bad.yaml, and compares
// with the .want beside it: one line an error, without the file's name, and
// with the directory as $DIR.
func TestBadFilesGiveExactMessages(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var s sample
			snapshot, err := load(path, &s)
			var errs config.Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("loading gave %v, want Errors", err)
			}
			if snapshot == nil || len(snapshot.Files) == 0 || snapshot.Files[0] != filepath.Join(dir, filepath.Base(path)) {
				t.Errorf("the snapshot does not begin with the file itself: %+v", snapshot)
			}
			var got bytes.Buffer
			for _, e := range errs {
				line := strings.TrimPrefix(strings.TrimPrefix(e.Error(), path), ":")
				got.WriteString(strings.ReplaceAll(strings.TrimSpace(line), dir, "$DIR") + "\n")
			}
			want := strings.TrimSuffix(path, ".bad.yaml") + ".want"
			if *update {
				if err := os.WriteFile(want, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			expected, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(expected) {
				t.Errorf("got\n%swant\n%s", got.Bytes(), expected)
			}
		})
	}
}
