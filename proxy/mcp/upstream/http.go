package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

const (
	typeJSON   = "application/json"
	typeEvents = "text/event-stream"
)

// maxDiscarded bounds what is read of a body that no caller wants, so that its
// connection can be used again.
const maxDiscarded = 64 << 10

// maxFraming is how much of an event may be other than the message in it.
const maxFraming = 1 << 10

type headerKey struct{}

// WithHeader returns a ctx whose Open, Call and Send carry these headers, in
// the place of those of Options. The protocol's own always win.
func WithHeader(ctx context.Context, h http.Header) context.Context {
	return context.WithValue(ctx, headerKey{}, h)
}

// request makes a request of the session. Its body is sent whole and can be
// sent again: a body that streams through an HTTP/1.1 hop while the server
// asks something back loses some of these round trips.
func (s *Session) request(ctx context.Context, method string, u *url.URL, body []byte) (*http.Request, error) {
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
	maps.Copy(req.Header, s.opts.Header)
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
	if v := s.Version(); v != "" {
		req.Header.Set(spec.HeaderVersion, v)
	}
	if h, ok := ctx.Value(requestHeadersKey{}).(http.Header); ok {
		maps.Copy(req.Header, h)
		req.Header.Set(spec.HeaderVersion, spec.Modern)
	}
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

// events reads a stream, whose events are messages with some words around them.
func (s *Session) events(body io.Reader) *sse.Reader {
	r := sse.NewReader(body, s.longest()+maxFraming)
	r.Skim = func(short bool) io.Writer { return &skim{short: short} }
	r.ChargeTo(s.opts.Memory.Lease(memory.Answer))
	return r
}

func success(res *http.Response) bool { return res.StatusCode >= 200 && res.StatusCode < 300 }

// discard reads the rest of a body that no caller wants.
func discard(body io.Reader) { _, _ = io.CopyN(io.Discard, body, maxDiscarded) }

// readAll reads the body of an answer, for the caller.
func (s *Session) readAll(res *http.Response, caller *Caller) ([]byte, error) {
	lease := s.opts.Memory.Lease(memory.Answer)
	defer caller.take(&lease)
	b, err := lease.ReadAll(io.LimitReader(res.Body, s.opts.MaxResult+1), res.ContentLength)
	switch {
	case errors.Is(err, memory.ErrExhausted):
		err = s.tooLong(true)
	case err == nil && int64(len(b)) > s.opts.MaxResult:
		err = s.tooLong(false)
	}
	return b, err
}

// snippet is the beginning of what a server sent, fit for a log line.
func snippet(b []byte) string {
	const most = 200
	cut := len(b) > most
	if cut {
		b = b[:most]
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(string(b), ""))
	text = strings.Join(strings.Fields(text), " ")
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

// binding is the endpoint that a session's requests go through, held so that
// its connections outlive the generation they were made in.
type binding struct {
	endpoint *clusters.Endpoint
	release  func()
}

func bind(e *clusters.Endpoint) binding { return binding{e, e.Hold()} }
