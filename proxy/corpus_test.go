package proxy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Each testdata/*.bad.yaml has the messages beside it that an operator reads:
// one line an error, without the file's name, the directory as $DIR.
func TestBadFilesGiveExactMessages(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.bad.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, _, err := Load(context.Background(), path, config.Options{})
			var errs config.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("loading gave %v, want Errors", err)
			}
			var got strings.Builder
			for _, e := range errs {
				got.WriteString(strings.ReplaceAll(strings.TrimPrefix(e.Error(), path+":"), dir, "$DIR") + "\n")
			}
			want := strings.TrimSuffix(path, ".bad.yaml") + ".want"
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(want, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			expected, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(expected) {
				t.Errorf("got\n%swant\n%s", got.String(), expected)
			}
		})
	}
}
