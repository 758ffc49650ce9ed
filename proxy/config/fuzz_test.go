package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// FuzzLoad holds that no file makes Load panic, hang, or fail without a
// message that fits a line, and that what it takes it takes twice the same.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("listeners: [{name: a, address: ':80', tls: {}}]\nlimits: {timeout: 1s, header: 1KiB, jitter: 5%}\n"))
	f.Add([]byte("listeners: []\nlabels: {a: '${NAME}', b: '${X:-y}', c: $$}\nrefs: [a]\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var first sample
		snapshot, err := load(path, &first)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
		if snapshot == nil || len(snapshot.Files) == 0 {
			t.Error("no snapshot")
		}
		if err != nil {
			var errs config.Errors
			if !errors.As(err, &errs) || len(errs) == 0 || len(errs) > 201 {
				t.Fatalf("got %#v", err)
			}
			for _, e := range errs {
				if e.Message == "" || strings.ContainsAny(e.Error(), "\r\n") || len(e.Error()) > 16<<10 {
					t.Errorf("odd message %q", e.Error())
				}
			}
			return
		}
		var second sample
		if _, err := load(path, &second); err != nil || config.Fingerprint(first) != config.Fingerprint(second) {
			t.Errorf("the second load differs: %v", err)
		}
	})
}
