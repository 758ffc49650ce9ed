package listeners

import (
	"net"
	"time"
)

// Trace tells what happens to connections. Every function, and a *Trace, may be
// nil; they are called concurrently and should not block.
type Trace struct {
	// Opened is a connection that was let in.
	Opened func(listener string)
	// Rejected is a connection that was closed before it carried a request, for
	// a reason such as "max_connections". For "proxy_protocol" err says what is
	// wrong with the PROXY header, unless not a byte came: load balancers try
	// ports like that.
	Rejected func(listener, reason string, remote net.Addr, err error)
	// Handshake is a TLS handshake that ended, well if err is nil.
	Handshake func(listener string, remote net.Addr, err error, d time.Duration)
	// AcceptError is a failure of a socket, which goes on accepting.
	AcceptError func(address string, err error)
	// Advice is what the operator can do about the machine.
	Advice func(message string)
	// Error is a complaint of the protocol servers, a handler's panic among
	// them.
	Error func(listener, message string)
}

func (t *Trace) opened(listener string) {
	if t != nil && t.Opened != nil {
		t.Opened(listener)
	}
}

func (t *Trace) rejected(listener, reason string, remote net.Addr, err error) {
	if t != nil && t.Rejected != nil {
		t.Rejected(listener, reason, remote, err)
	}
}

func (t *Trace) handshake(listener string, remote net.Addr, err error, d time.Duration) {
	if t != nil && t.Handshake != nil {
		t.Handshake(listener, remote, err, d)
	}
}

func (t *Trace) acceptError(address string, err error) {
	if t != nil && t.AcceptError != nil {
		t.AcceptError(address, err)
	}
}

func (t *Trace) advice(message string) {
	if t != nil && t.Advice != nil {
		t.Advice(message)
	}
}

func (t *Trace) error(listener, message string) {
	if t != nil && t.Error != nil {
		t.Error(listener, message)
	}
}
