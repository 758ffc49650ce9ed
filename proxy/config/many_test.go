package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAFileOfManyItemsIsRead reads a file with more values than aliases may
// stand for: what the file itself spells out is bounded by its size alone.
func TestAFileOfManyItemsIsRead(t *testing.T) {
	var text strings.Builder
	text.WriteString("items:\n")
	const n = 20000
	for i := range n {
		fmt.Fprintf(&text, "  - {name: n%d, a: 1, b: 2, c: 3, d: 4, e: 5, f: 6}\n", i)
	}
	path := filepath.Join(t.TempDir(), "many.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Items []map[string]string `yaml:"items"`
	}
	if _, err := Load(context.Background(), path, Options{}, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Items) != n || got.Items[n-1]["name"] != fmt.Sprintf("n%d", n-1) {
		t.Errorf("%d items, the last is %v", len(got.Items), got.Items[len(got.Items)-1])
	}
}
