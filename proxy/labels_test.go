package proxy

import "testing"

func TestLabelsAreBoundedByTheConfiguration(t *testing.T) {
	for id, want := range map[string]string{
		"http://10.0.0.1:80":                "http://10.0.0.1:80",
		"https://api.example/mcp@10.0.0.1":  "https://api.example/mcp",
		"https://api.example/mcp@fd00::1":   "https://api.example/mcp",
		"https://10.0.0.1/@scope/server":    "https://10.0.0.1/@scope/server",
		"https://api.example/@me@127.0.0.1": "https://api.example/@me",
		"command":                           "command",
	} {
		if got := endpointLabel(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	for method, want := range map[string]string{"tools/call": "tools/call", "tools/call2": "other", "": "other", "a\xff": "other"} {
		if got := methodLabel(method); got != want {
			t.Errorf("%q: %s, want %s", method, got, want)
		}
	}
}
