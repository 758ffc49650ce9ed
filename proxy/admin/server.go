package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/listeners"
)

// Server is the API on one address. Listen binds, Serve serves, Unbind gives
// the address up, Close ends.
type Server struct {
	listener net.Listener
	http     *http.Server
	serving  sync.WaitGroup
}

// Listen binds the address and serves nothing yet, so that a generation that
// fails later leaves no trace but a refused connection.
func Listen(c Config, source Source, metrics http.Handler) (*Server, error) {
	l, err := bind(c.Address)
	if err != nil {
		return nil, fmt.Errorf("admin.address: %w", err)
	}
	return &Server{listener: l, http: &http.Server{
		Handler:           guardHost(c.Address, handler(source, metrics)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}}, nil
}

func bind(address string) (net.Listener, error) {
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return net.Listen("tcp", address)
	}
	return listeners.ListenUnix(path, 0o600, nil) // for this user only
}

// Serve answers requests in a goroutine of its own until Unbind or Close.
func (s *Server) Serve() {
	s.serving.Go(func() { _ = s.http.Serve(s.listener) }) // until the listener is closed
}

// Addr is the address bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Unbind gives the address up at once, also of a server that never served.
// Requests in flight go on until Close.
func (s *Server) Unbind() { s.listener.Close() }

// Close ends a server that serves. It lets requests in flight finish for up to
// five seconds, or until ctx ends: one of them may be the very POST /reload that
// removes this server.
func (s *Server) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
	s.serving.Wait()
}

func handler(source Source, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, source.Status())
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		// A reload may take longer than ReadTimeout, after which the server
		// would take the client for gone.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		outcome, err := source.Reload(r.Context())
		if err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]any{"error": map[string]string{"code": "shutting_down", "message": err.Error()}})
			return
		}
		status := http.StatusOK
		if outcome.Result == Rejected {
			status = http.StatusUnprocessableEntity
		}
		writeJSON(w, status, outcome)
	})
	mux.Handle("GET /metrics", metrics)
	return mux
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // where it fails the client is gone
}

// guardHost refuses requests that a web page could have sent: by DNS rebinding
// (a Host that is neither loopback nor the address), or across origins.
func guardHost(address string, next http.Handler) http.Handler {
	unix := strings.HasPrefix(address, "unix:")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, ok := hostname.Canonical(r.Host)
		if !unix && !(ok && hostname.Loopback(host)) && r.Host != address {
			http.Error(w, "this Host is not served here", http.StatusForbidden)
			return
		}
		site := r.Header.Get("Sec-Fetch-Site")
		if r.Header.Get("Origin") != "" || site != "" && site != "none" {
			http.Error(w, "cross-origin requests are refused", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
