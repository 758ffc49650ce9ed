package downstream

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func FuzzAccept(f *testing.F) {
	for _, accept := range []string{"*/*", "application/json, text/event-stream", "text/html;q=0.5,*/*;q=0", ";;,"} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Accept", value)
		if a := parseAccept(r); a.SSE && !strings.Contains(strings.ToLower(value), "text/") {
			t.Errorf("%q: %+v", value, a)
		}
	})
}

func FuzzOrigin(f *testing.F) {
	f.Add("http://127.0.0.1:80", "127.0.0.1:80")
	f.Add("null", "localhost")
	f.Fuzz(func(t *testing.T, origin, host string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Host = host
		r.Header.Set("Origin", origin)
		g, err := newGuard([]string{"mcp.example.com", "*.example.org"}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if g.check(r) == "" && !strings.Contains(strings.ToLower(origin), "example.") {
			t.Errorf("origin %q passes with host %q", origin, host)
		}
	})
}
