package transport

import (
	"context"
	"net/http"
	"net/textproto"

	"golang.org/x/net/http/httpguts"
)

type interimKey struct{}

// OnInterim returns a context whose requests report their 1xx answers before the
// final one, except 101. An error ends the request. The caller bounds their
// number.
func OnInterim(ctx context.Context, f func(status int, header textproto.MIMEHeader) error) context.Context {
	return context.WithValue(ctx, interimKey{}, f)
}

// Idempotent reports whether sending the request twice does no harm. An upgrade
// opens a stream, which no method makes repeatable.
func Idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return !isUpgrade(req)
	}
	return false
}

// isUpgrade reports whether a request asks to leave HTTP (RFC 9110, section
// 7.8).
func isUpgrade(req *http.Request) bool {
	return req.Header.Get("Upgrade") != "" && httpguts.HeaderValuesContainsToken(req.Header["Connection"], "upgrade")
}

// refuse ends the round trip of a request that has failed. A RoundTripper closes the body
// then too (http.RoundTripper).
func refuse(req *http.Request, err error) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, err
}
