package upstream

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// refused reads an answer whose status is no success. Some servers answer with
// such a status and with the call's error response in the body: that is the
// call's response. inSession says that the request named a session; then the
// error tells what the answer says about that session.
func (c *httpClient) refused(res *http.Response, id jsonrpc.ID, inSession bool) (*jsonrpc.Message, error) {
	body, err := c.limits.readAll(res, nil)
	status := &StatusError{Code: res.StatusCode, challenged: res.Header.Get("WWW-Authenticate") != ""}
	if err != nil {
		body = nil
	}
	status.Snippet = snippet(body)
	if to := res.Header.Get("Location"); to != "" && res.StatusCode < http.StatusBadRequest {
		to, _, _ := strings.Cut(to, "?") // which may hold a key
		status.Snippet = "a redirect is followed once, and only by 307 or 308 to the same scheme, host and port, not to " + snippet([]byte(to))
	}
	if m, err := jsonrpc.Parse(body); err == nil && m.IsError() {
		status.Response, status.Snippet = m, snippet([]byte(m.ErrorMessage()))
		status.answers = !id.IsZero() && m.ID() == id
	}
	switch server := c.server.Load(); {
	case c.toGateway:
		status.lost = inSession && status.Code == http.StatusNotFound
		said, _ := jsonrpc.ParseValue(body) // something else says nothing that could be shown
		status.Snippet = snippet([]byte(said.Get("error", "message").String()))
		if status.answers && !status.lost {
			return status.Response, nil
		}
	case inSession:
		status.lost, status.doubtful = status.aboutSession(body)
	case server == nil: // it is being found out
	case !server.Modern():
		// The server gave no session id when it was initialised. One that has been
		// restarted with other settings may do so now.
		status.lost = status.wantsSession(body)
	default:
		status.lost = status.knowsNoModern()
		status.mayHaveActed = status.lost
	}
	if m := status.Answer(); m != nil && status.answers && !status.lost && !status.doubtful {
		return m, nil
	}
	return nil, status
}

// aboutSession tells what the answer to a request that named a session says
// about that session: that it is lost, or that it may be. MCP says 404 for a
// session that the server does not know. Servers say 400, 401, 403, 410, 500
// and 503 as well, in plain text and in JSON.
func (e *StatusError) aboutSession(body []byte) (lost, doubtful bool) {
	if e.answers {
		// The server understood the call and does not serve it.
		switch e.Response.ErrorCode() {
		case jsonrpc.CodeMethodNotFound:
			return false, false
		case jsonrpc.CodeInvalidParams: // which an unknown session may be as well
			return false, true
		}
	}
	switch e.Code {
	case http.StatusNotFound, http.StatusGone:
		return true, false
	case http.StatusUnauthorized, http.StatusForbidden:
		return false, !e.challenged
	case http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge:
		return false, false // they are about the request, or about the moment
	}
	if e.wantsSession(body) {
		return true, false
	}
	return false, e.Code >= http.StatusBadRequest
}

// wantsSession reports whether a request is refused for the sake of its session,
// or since it has none.
func (e *StatusError) wantsSession(body []byte) bool {
	return e.Code == http.StatusBadRequest && !e.answers && bytes.Contains(bytes.ToLower(body), []byte("session"))
}

// knowsNoModern reports whether a request without a session is refused in a way
// that may be that of a server with sessions, which has taken the place of one
// without. If it is not so, nothing is lost: the server is asked who it is, and may
// have acted on the request.
func (e *StatusError) knowsNoModern() bool {
	switch e.Code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusGone:
	default:
		return false
	}
	if e.Response == nil {
		return true
	}
	switch e.Response.ErrorCode() {
	case jsonrpc.CodeHeaderMismatch, jsonrpc.CodeMissingCapability, jsonrpc.CodeUnsupportedVersion, jsonrpc.CodeMethodNotFound, jsonrpc.CodeInvalidParams:
		return false // as servers without sessions say
	}
	return !e.answers
}
