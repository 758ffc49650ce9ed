package upstream

import (
	"net/http"
	"net/url"
	"strings"
)

// RoundTrip sends a request to the endpoint. It follows an answer of 307 or 308 that
// leads to the same origin, once: frameworks answer so when a slash is missing, or is
// there, at the end of the path. It remembers for all sessions where that led to.
func (b *binding) RoundTrip(req *http.Request) (*http.Response, error) {
	configured := req.URL.EscapedPath() == b.URL().EscapedPath()
	moved := false
	if configured {
		if to := b.known.get().redirected; to != nil {
			// The query stays the configured one: it may hold a key that changes.
			u := *req.URL
			u.Path, u.RawPath = to.Path, to.RawPath
			req.URL, moved = &u, true
		}
	}
	res, err := b.Endpoint.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if to := movedTo(req.URL, res); to != nil {
		discard(res.Body)
		res.Body.Close()
		again := req.Clone(req.Context())
		again.URL = to
		if req.GetBody != nil {
			if again.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		if res, err = b.Endpoint.RoundTrip(again); err != nil {
			return nil, err
		}
		if configured && speaks(res) {
			if to.EscapedPath() == b.URL().EscapedPath() {
				to = nil
			}
			b.known.redirected(to)
		}
	} else if moved && gone(res) {
		b.known.redirected(nil) // the next request finds out anew
	}
	return res, nil
}

// speaks reports whether an answer is that of an MCP server, and not, say, of a
// page to log in at.
func speaks(res *http.Response) bool {
	switch mediaType(res) {
	case typeJSON, typeEvents:
		return success(res)
	}
	return res.StatusCode == http.StatusAccepted
}

// gone reports whether an answer shows that there is no MCP server any more.
func gone(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusMisdirectedRequest:
		return true
	}
	return res.StatusCode >= 300 && res.StatusCode < 400 || success(res) && mediaType(res) == "text/html"
}

// movedTo returns the URL that an answer redirects to with the method and body
// kept, nil if it does not, or to another origin: there the request would carry
// what is meant for this one alone, such as the cluster's headers.
func movedTo(from *url.URL, res *http.Response) *url.URL {
	if res.StatusCode != http.StatusTemporaryRedirect && res.StatusCode != http.StatusPermanentRedirect {
		return nil
	}
	location := res.Header.Get("Location")
	ref, err := url.Parse(location)
	if err != nil || location == "" || len(location) > maxEndpointURI {
		return nil
	}
	to := from.ResolveReference(ref)
	if !sameOrigin(from, to) || to.User != nil || to.Opaque != "" || sameResource(from, to) {
		return nil
	}
	to.Fragment, to.RawFragment = "", ""
	if !strings.HasPrefix(to.Path, "/") {
		to.Path = "/" + to.Path
	}
	return to
}

// sameResource reports whether two URLs of one origin name the same.
func sameResource(a, b *url.URL) bool {
	return a.EscapedPath() == b.EscapedPath() && a.RawQuery == b.RawQuery
}
