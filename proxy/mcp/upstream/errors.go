package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
	clustertransport "github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// ErrSessionLost: the server does not know the session any more, or its
// stream or process is gone. A new session is needed.
var ErrSessionLost = errors.New("upstream session lost")

// ErrProtocol: the server answered, and not as the protocol says.
var ErrProtocol = errors.New("the server does not keep to the protocol")

// ErrUnauthorized: the server answered 401 or 403.
var ErrUnauthorized = errors.New("upstream refuses the gateway's credentials")

// ErrClosed: the session was closed here.
var ErrClosed = errors.New("upstream session closed")

// StatusError is an HTTP status that is no answer to the message. It is
// ErrUnauthorized (401, 403) or ErrSessionLost (the server does not know the
// session that the request named) as well, by errors.Is.
type StatusError struct {
	Code int
	// Snippet is the beginning of the body, printable, for logs.
	Snippet string
	// Response is the error response in the body, if there was one.
	Response *jsonrpc.Message

	answers    bool // Response has the call's id
	challenged bool // the server says which credentials it wants
	lost       bool // the server does not know the session
	doubtful   bool // the server may not know the session
	lives      bool // it turned out to know it
	// mayHaveActed: lost is no more than a guess of a server without sessions, which
	// cannot have refused the request for the sake of one.
	mayHaveActed bool
}

// SessionLives reports whether the session that the request named was found to
// live on: the server refuses this request, and not the session.
func (e *StatusError) SessionLives() bool { return e.lives }

// Answer returns the error response in the body that the server gave to the
// call, nil where there is none. It may have another id than the call: servers
// do not always know it. What a server says with 401 and 403 concerns the
// gateway and not the client.
func (e *StatusError) Answer() *jsonrpc.Message {
	if errors.Is(e, ErrUnauthorized) {
		return nil
	}
	return e.Response
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("upstream answered %d %s", e.Code, http.StatusText(e.Code))
	if e.Snippet != "" {
		text += ": " + e.Snippet
	}
	return text
}

// Is makes a StatusError ErrUnauthorized or ErrSessionLost.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden
	case ErrSessionLost:
		return e.lost
	}
	return false
}

// InitializeError is an answer to initialize that begins no session: an error
// response, or a result that is no good. The server speaks JSON-RPC.
type InitializeError struct {
	// Response is the server's answer.
	Response *jsonrpc.Message
	// Reason says what is wrong with it.
	Reason string
}

// Is makes an InitializeError ErrProtocol.
func (e *InitializeError) Is(target error) bool { return target == ErrProtocol }

func (e *InitializeError) Error() string { return "initialize: " + e.Reason }

// NotSent reports whether nothing of the message reached the server.
func NotSent(err error) bool {
	var connect *clustertransport.ConnectError
	var unsent *unsentError
	return errors.As(err, &connect) || errors.As(err, &unsent) || errors.Is(err, clusters.ErrNoHealthyUpstream)
}

// Repeatable reports whether the server surely did not act on the message, so
// that it may be sent again, on a new session where this one is lost: it was
// not sent, or was refused by 401, 403 or 404, or with its session by 400 or
// 410. A server that answers 5xx may have acted on it.
func Repeatable(err error) bool {
	if NotSent(err) {
		return true
	}
	var status *StatusError
	if !errors.As(err, &status) || status.mayHaveActed {
		return false
	}
	switch status.Code {
	case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
		return true
	case http.StatusBadRequest, http.StatusGone:
		return status.lost
	}
	return false
}

// Unsent marks the error of a Host that came before anything was sent.
func Unsent(err error) error { return &unsentError{err} }

// unsentError marks an error that came before anything was sent.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// interruptedError is why a call that was sent got no response. What is below
// it, such as a failed attempt to resume, says nothing about whether the call
// was carried out, so it is not unwrapped; but it still is what it is.
type interruptedError struct{ cause error }

func (e *interruptedError) Error() string {
	return "the stream ended before the response: " + e.cause.Error()
}

func (e *interruptedError) Is(target error) bool { return errors.Is(e.cause, target) }

// because makes sure that the error of what ctx ended says so.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

// lost makes the error of a session whose stream or process is gone.
func lost(why error) error {
	if errors.Is(why, ErrSessionLost) {
		return why
	}
	return fmt.Errorf("%w: %w", ErrSessionLost, why)
}
