package acme

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestARateLimitIsWaitedOut(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Replay-Nonce", "nonce")
		switch r.URL.Path {
		case "/dir":
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{"newNonce": server.URL + "/nonce", "newAccount": server.URL + "/account", "newOrder": server.URL + "/order"})
		case "/nonce":
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many accounts", "status": 429})
		}
	}))
	defer server.Close()
	g := newGateway(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	g.Commit(&Config{
		Directory: server.URL + "/dir", Storage: config.Path(t.TempDir()), CACert: config.File{Path: "ca", Data: ca},
	}, []string{name}, both)
	g.await("failed " + name)
	if wait := time.Until(g.Status()[0].NextTry); wait < 110*time.Minute {
		t.Errorf("the next attempt comes in %v, though the authority said two hours", wait)
	}
}
