package transport

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Most of these errors have no type; their words must still be those of the
// libraries. What HTTP/1.1 and HTTP/2 say is tested with real answers.
func TestHTTP3StillUsesTheWords(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/quic-go/quic-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "http3", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	var source strings.Builder
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	for _, words := range malformedWords {
		if (strings.HasPrefix(words, "http3: ") || strings.HasPrefix(words, "peer sent") || strings.HasPrefix(words, "too many 1xx") || strings.HasPrefix(words, "frame received")) && !strings.Contains(source.String(), words) {
			t.Errorf("http3 does not say %q any more", words)
		}
	}
}
