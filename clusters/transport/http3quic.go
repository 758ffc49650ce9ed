package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
)

const (
	// quicKeepAlive and quicSilence find a dead peer in the time in which TCP
	// would: see keepAlive and userTimeout.
	quicKeepAlive = 10 * time.Second
	quicSilence   = 30 * time.Second
)

// quicConn is a QUIC connection on a socket of its own, which closes with it.
type quicConn struct {
	*quic.Conn
	transport *quic.Transport
	socket    *udpSocket
	closing   func() // called once, as the connection closes
	once      sync.Once
}

// dialQUIC makes a QUIC connection for this connection set. As over TCP, it does not end
// with the request that asked for it.
func (cs *connectionSet) dialQUIC() (*quicConn, error) {
	c, err := cs.pool.dialer.dialQUIC(cs.ctx)
	if err != nil {
		return nil, err
	}
	c.closing = func() { cs.forget(c) }
	if !cs.track(c) {
		c.Close()
		return nil, cs.late()
	}
	context.AfterFunc(c.Context(), func() { c.Close() })
	return c, nil
}

// dialQUIC makes a QUIC connection that speaks HTTP/3, as dial makes one over
// TCP.
func (d *dialer) dialQUIC(ctx context.Context) (c *quicConn, err error) {
	err = d.within(ctx, func(ctx context.Context) error {
		c, err = d.connectQUIC(ctx)
		return explainSilence(err)
	})
	return c, err
}

func (d *dialer) connectQUIC(ctx context.Context) (*quicConn, error) {
	socket, err := dialUDP(ctx, d.Address)
	if err != nil {
		return nil, err
	}
	if !d.Reserve.FitsUpstream(socket, d.Check) {
		socket.Close()
		return nil, descriptors.ErrExhausted
	}
	c := &quicConn{transport: &quic.Transport{Conn: socket}, socket: socket, closing: func() {}}
	// Not DialEarly: a request in 0-RTT could be replayed.
	c.Conn, err = c.transport.Dial(ctx, socket.RemoteAddr(), d.identity.Config(d.URL.Hostname(), []string{http3.NextProtoH3}), &quic.Config{
		Versions: []quic.Version{quic.Version1},
		// Longer than the time of ctx, whose end names connect_timeout.
		HandshakeIdleTimeout: 2 * d.settings.ConnectTimeout,
		MaxIdleTimeout:       quicSilence,
		KeepAlivePeriod:      quicKeepAlive,
		MaxIncomingStreams:   -1, // a server opens none (RFC 9114, section 6.1)
		// The first is quic-go's own, which it enlarges as it is read.
		MaxStreamReceiveWindow: StreamWindow,
		// From the beginning: what is not read enlarges nothing, and it is what the
		// window is for.
		InitialConnectionReceiveWindow: connectionWindow,
		MaxConnectionReceiveWindow:     connectionWindow,
	})
	if err != nil {
		c.transport.Close()
		socket.Close()
		return nil, err
	}
	return c, nil
}

// Close sends CONNECTION_CLOSE to the server, and closes the socket.
func (c *quicConn) Close() error {
	c.once.Do(func() {
		c.closing()
		_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		c.transport.Close()
		c.socket.Close()
	})
	return nil
}

// noALPN is the alert of a server that does not speak the protocol.
const noALPN = "tls: no application protocol"

// quicAlert is the TLS alert by which the server has ended a QUIC connection,
// "" if err is anything else.
func quicAlert(err error) string {
	if te, ok := errors.AsType[*quic.TransportError](err); ok && te.Remote && te.ErrorCode.IsCryptoError() {
		return te.ErrorCode.Message()
	}
	return ""
}

// explainSilence says what it can mean that no answer has come over UDP.
func explainSilence(err error) error {
	_, handshake := errors.AsType[*quic.HandshakeTimeoutError](err)
	_, idle := errors.AsType[*quic.IdleTimeoutError](err)
	switch {
	case handshake || idle || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer to QUIC; UDP may be blocked on the way, or the server may not speak HTTP/3", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on this UDP port; the server may not speak HTTP/3", err)
	}
	return err
}

// refusedQUIC reports whether the server has ended the handshake from its side.
// A client is done with its part before the server has seen the certificate, so
// that requests are on their way by then; without the end of the handshake, the
// server cannot even decrypt them (RFC 9001, section 5.7).
func refusedQUIC(err error) bool {
	alert := quicAlert(err)
	return alert == noALPN || refusal(alert)
}
