package relay

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// host carries requests to the gateway, with the client's token. It is the
// upstream.Host of all sessions. Redirects are not followed: the token is for this
// URL.
type host struct {
	opts Options
	url  *url.URL

	mu    sync.Mutex
	token string
}

// Target implements upstream.Host.
func (h *host) Target() *url.URL { u := *h.url; return &u }

// RoundTrip implements upstream.Host. A token that is refused is asked for again,
// and the request repeated if there is another one: a gateway that refuses it did
// not act on the request.
func (h *host) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		h.mu.Lock()
		token := h.token
		h.mu.Unlock()
		var sent atomic.Bool
		once := req.Clone(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}))
		if req.GetBody != nil {
			once.Body, _ = req.GetBody() // it cannot fail: the body is in memory
		}
		if token != "" {
			once.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := h.opts.Transport.RoundTrip(once)
		switch {
		case err != nil && (!sent.Load() || refusesCertificate(err)):
			return nil, upstream.Unsent(err)
		case err != nil || res.StatusCode != http.StatusUnauthorized || !h.renew(token):
			return res, err
		}
		res.Body.Close()
	}
}

// refusesCertificate reports whether err is the alert by which a TLS server refuses
// the client's certificate, or that there is none. With TLS 1.3 it comes when the
// handshake has ended for the client, and a request may be on its way; the server
// reads none of it (RFC 8446 section 4.4.2.4).
func refusesCertificate(err error) bool {
	var alert *net.OpError
	return errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(alert.Err.Error(), "certificate")
}

// renew asks for the token, and reports whether it is another one than the one
// that was refused.
func (h *host) renew(refused string) bool {
	token, err := h.opts.Token()
	if err != nil {
		h.opts.Log(err.Error())
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.token = token
	return token != refused
}
