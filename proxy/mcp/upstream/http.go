package upstream

import (
	"bytes"
	"context"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	typeJSON   = "application/json"
	typeEvents = "text/event-stream"
)

// maxDiscarded bounds what is read of a body that no caller wants, so that its
// connection can be used again.
const maxDiscarded = 64 << 10

type headerKey struct{}

// WithHeader returns a ctx whose Open, Call and Send carry these headers, in
// the place of those of Options. The protocol's own always win.
func WithHeader(ctx context.Context, h http.Header) context.Context {
	return context.WithValue(ctx, headerKey{}, h)
}

// httpClient makes the HTTP requests of a session, whichever transport they are
// for.
type httpClient struct {
	limits *limits
	header http.Header // of every request
	// toGateway: the server is a gateway, of which PassThrough says what that means.
	toGateway bool
	// server is nil until it is known what the server is.
	server atomic.Pointer[Server]
}

// request makes a request of the session. Its body is sent whole and can be
// sent again: a body that streams through an HTTP/1.1 hop while the server
// asks something back loses some of these round trips. repeats are the headers of
// a request without a session, nil where there is one.
func (c *httpClient) request(ctx context.Context, method string, u *url.URL, body []byte, repeats http.Header) (*http.Request, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body) // which gives the request GetBody
	}
	req, err := http.NewRequestWithContext(ctx, method, "", reader)
	if err != nil {
		return nil, &unsentError{err}
	}
	to := *u
	req.URL = &to
	maps.Copy(req.Header, c.header)
	if h, ok := ctx.Value(headerKey{}).(http.Header); ok {
		maps.Copy(req.Header, h)
	}
	req.Header.Set("User-Agent", "mcpgateway")
	switch method {
	case http.MethodPost:
		req.Header.Set("Accept", typeJSON+", "+typeEvents)
		req.Header.Set("Content-Type", typeJSON)
	case http.MethodGet:
		req.Header.Set("Accept", typeEvents)
	}
	for _, name := range []string{spec.HeaderSession, spec.HeaderVersion, spec.HeaderLastEventID, spec.HeaderMethod, spec.HeaderName} {
		req.Header.Del(name)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if server := c.server.Load(); server != nil {
		req.Header.Set(spec.HeaderVersion, server.Version)
	}
	maps.Copy(req.Header, repeats)
	return req, nil
}

// mediaType returns the type of a response's body, without parameters.
func mediaType(res *http.Response) string {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

func success(res *http.Response) bool { return res.StatusCode >= 200 && res.StatusCode < 300 }

// discard reads the rest of a body that no caller wants.
func discard(body io.Reader) { _, _ = io.CopyN(io.Discard, body, maxDiscarded) }

// snippet is the beginning of what a server sent, fit for a log line.
func snippet(b []byte) string {
	const most = 200
	cut := len(b) > most
	if cut {
		b = b[:most]
	}
	between := func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }
	text := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(string(b), ""), between), " ")
	if cut {
		text += "…"
	}
	return text
}

// sameOrigin reports whether two URLs have one scheme, host and port (RFC 6454
// section 5), as they are written: what a name resolves to says nothing.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
