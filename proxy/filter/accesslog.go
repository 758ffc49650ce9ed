package filter

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/tls"
)

// maxID is how long an id from a proxy may be, in bytes.
const maxID = 128

// requestIDHeader carries the request's id upstream, and from trusted proxies.
const requestIDHeader = "X-Request-Id"

// AccessLog gives every request a RequestInfo, serves it by next, and hands emit
// one Entry when it has ended, also when next panics. emit may be nil: then
// the RequestInfo is still there for those who ask for it. emit is called by the
// request's goroutine and should not block.
func AccessLog(next http.Handler, emit func(*Entry)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		// One allocation for what lives as long as the request.
		x := &struct {
			info   RequestInfo
			writer responseWriter
		}{}
		x.info.id = requestID(r)
		x.writer.ResponseWriter = w
		r = r.WithContext(context.WithValue(r.Context(), requestInfoKey{}, &x.info))
		if emit != nil {
			defer func() { emit(newEntry(r, &x.info, &x.writer, started)) }()
		}
		next.ServeHTTP(&x.writer, r)
		x.writer.finish()
	})
}

func newEntry(r *http.Request, info *RequestInfo, w *responseWriter, started time.Time) *Entry {
	f := info.snapshot()
	e := &Entry{
		Time:       started,
		Duration:   time.Since(started),
		RequestID:  info.id,
		Method:     clip(r.Method, maxName),
		Host:       clip(r.Host, maxName),
		Path:       clip(r.URL.EscapedPath(), maxPath),
		Protocol:   r.Proto,
		Status:     w.status,
		Bytes:      w.bytes + f.spliced,
		Generation: f.generation,
		Route:      f.route,
		Cluster:    f.cluster,
		Endpoint:   f.endpoint,
		MCPMethod:  clip(f.mcpMethod, maxName),
		MCPTool:    clip(f.mcpTool, maxName),
		Flag:       f.flag,
		Reason:     clip(f.reason, maxReason),
	}
	if client := ClientAddr(r); client.IsValid() {
		e.Client = client.String()
	}
	if cert := peerCertificate(r.Context()); cert != nil {
		e.Peer = clip(tls.PeerName(cert), maxName)
	}
	if f.principal.Kind == "" {
		f.principal = PrincipalFrom(r.Context())
	}
	if f.principal.Kind != Anonymous {
		e.Principal = clip(f.principal.String(), maxName)
	}
	return e
}

// requestID is a fresh id, or the one that a trusted proxy sent. An id from
// elsewhere is worth nothing: a client that sends it could pass for another request.
func requestID(r *http.Request) string {
	if ids := r.Header[requestIDHeader]; len(ids) == 1 && len(ids[0]) <= maxID && plainText(ids[0]) && FromTrustedProxy(r) {
		return ids[0]
	}
	return rand.Text()
}
