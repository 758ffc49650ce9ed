package transport

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrRefused says that an HTTP/2 server has refused a request again and
	// again, unread (RFC 9113, section 8.7).
	ErrRefused = errors.New("the server refused the request unread (GOAWAY or REFUSED_STREAM), again and again")
	// ErrProtocol says that what a server answered is not HTTP.
	ErrProtocol = errors.New("the server does not keep to HTTP")
	// ErrExpired ends a stream whose connection was made with a client
	// certificate that has now expired.
	ErrExpired = errors.New("the client certificate of this connection has expired")
	// ErrRetired says that an endpoint was used after its set was released.
	ErrRetired = errors.New("the endpoint belongs to a released generation")
	// ErrTryTimeout ends a try whose response header did not come in time.
	ErrTryTimeout = fmt.Errorf("no response header within the time of one try: %w", context.DeadlineExceeded)
)

// ConnectError says that the request reached no server: the name did not resolve,
// or TCP, TLS or QUIC failed, or a child process did not start, or an HTTP/3
// server has said that it did not look at the request. Whatever the method, it
// is safe to repeat.
type ConnectError struct {
	Cluster  string
	Endpoint string
	Err      error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("cluster %s: connect to %s: %v", e.Cluster, e.Endpoint, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }
