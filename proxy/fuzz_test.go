package proxy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// FuzzCheck holds that no file makes validate panic or fail without saying
// where: what the decoder takes must also be what every section's constructor
// takes.
func FuzzCheck(f *testing.F) {
	examples := []string{filepath.Join("..", "config.example.yaml")}
	for _, pattern := range []string{"../examples/*/*.yaml", "config/testdata/*.bad.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		examples = append(examples, paths...)
	}
	for _, path := range examples {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	path := certFolder(f, examples[0])
	// Files that a program is in the middle of replacing are not waited for.
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := proxy.Check(ctx, path, func(string) (string, bool) { return "", false })
		var errs config.Errors
		if err == nil || errors.Is(err, context.Canceled) {
			return
		}
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		for _, e := range errs {
			if !strings.HasPrefix(e.Error(), path) {
				t.Errorf("does not say where: %q", e.Error())
			}
		}
	})
}
