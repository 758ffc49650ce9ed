package acme

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestAPageInsteadOfAnAnswerIsShownInPart(t *testing.T) {
	// Of an odd length in bytes, so that it is cut within a character, too.
	page := "no" + strings.Repeat("é", 5<<20/2)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(page))
	}))
	defer server.Close()
	g := newGateway(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	g.Commit(&Config{
		Directory: server.URL + "/dir", Storage: config.Path(t.TempDir()), CACert: config.File{Path: "ca", Data: ca},
	}, []string{name}, both)
	g.await("failed " + name)
	text := g.lastError(name).Error()
	if len(text) > 600 || !utf8.ValidString(text) || !strings.Contains(text, "HTTP 403: noé") {
		t.Errorf("the error has %d bytes: %.600q", len(text), text)
	}
	g.Close()
	if n := len(g.log.String()); n > 100<<10 {
		t.Errorf("the log has %d bytes", n)
	}
}

func TestAnAnswerIsReadInPart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			if _, err := w.Write(make([]byte, maxBody)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: &retryAfterTransport{transport}}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := resp.Body.Read(make([]byte, 1))
	for total := n; err == nil; total += n {
		if total > maxBody {
			t.Fatal("more is read than is of use")
		}
		n, err = resp.Body.Read(make([]byte, 64<<10))
	}
}

func TestATextIsCutBetweenCharacters(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("a", maxText), strings.Repeat("€", maxText), "a" + strings.Repeat("€", maxText)} {
		got := shorten(text)
		if len(got) > maxText+len("…") || !utf8.ValidString(got) || len(text) <= maxText && got != text || len(text) > maxText && len(got) < maxText-4 {
			t.Errorf("%.20q of %d bytes: %d bytes, %.10q", text, len(text), len(got), got)
		}
	}
}
