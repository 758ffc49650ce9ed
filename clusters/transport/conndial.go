package transport

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/tls"
)

// keepAlive finds dead peers of idle connections within a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}

// Settings are those of connections.
type Settings struct {
	// Protocols are the HTTP versions to offer, best first: "h2", "http/1.1"; or
	// "h3" alone. Empty: h2 and http/1.1 over TLS, http/1.1 on plain text.
	Protocols []string
	// Proxy is the version of the PROXY header that connections over TCP begin
	// with, "v1" or "v2"; any other: there is none.
	Proxy string
	// ConnectTimeout bounds TCP and TLS, or QUIC, together.
	ConnectTimeout time.Duration
	// IdleTimeout closes a connection that is unused for so long; 0: none.
	IdleTimeout time.Duration
	// MaxConnectionAge is the age above which a connection gets no new request; 0:
	// there is none.
	MaxConnectionAge time.Duration
}

// Options are what all connections of a process share.
type Options struct {
	// Reserve is what connections leave of the process's descriptors; nil is
	// nothing.
	Reserve *descriptors.Reserve
	// Connected is called for every connection attempt; d covers TCP and TLS, or
	// QUIC. It may be nil. It is called concurrently, and must not block.
	Connected func(cluster, endpoint string, d time.Duration, err error)
}

// Connector is how a cluster connects. All endpoints with the same connect
// settings share it, and with it one TLS session cache; another identity has
// another Connector, so that neither a connection nor a TLS session of one can
// serve the other.
type Connector struct {
	Options
	cluster  string
	identity *tls.Client // nil on plain text
	settings Settings
}

// NewConnector returns the connector of a cluster. A nil identity stands for plain
// text.
func NewConnector(cluster string, identity *tls.Client, s Settings, opts Options) *Connector {
	return &Connector{Options: opts, cluster: cluster, identity: identity, settings: s}
}

// Identity is the identity and trust of the connections; nil on plain text.
func (n *Connector) Identity() *tls.Client { return n.identity }

// NotAfter is the end of the client certificate; zero when there is none.
func (n *Connector) NotAfter() time.Time {
	if n.identity == nil {
		return time.Time{}
	}
	return n.identity.NotAfter()
}

// http3 reports whether connections are QUIC ones.
func (n *Connector) http3() bool { return slices.Contains(n.settings.Protocols, "h3") }

// alpn lists the protocols to offer, best first.
func (n *Connector) alpn() []string {
	if len(n.settings.Protocols) > 0 {
		return n.settings.Protocols
	}
	return []string{"h2", "http/1.1"}
}

// dialer makes the connections of one endpoint. There is no other way to an
// upstream than its dial and dialQUIC, and so none without the cluster's
// identity.
type dialer struct {
	*Connector
	Target
}

// connectError says that err has kept the request from reaching a server.
func (d *dialer) connectError(err error) error {
	return &ConnectError{Cluster: d.cluster, Endpoint: d.Endpoint, Err: err}
}

// dial connects TCP, and TLS where there is an identity, within the cluster's
// connect_timeout. Errors are of type *ConnectError. wrap is applied to the TCP
// connection.
func (d *dialer) dial(ctx context.Context, alpn []string, wrap func(net.Conn) net.Conn) (c net.Conn, err error) {
	err = d.within(ctx, func(ctx context.Context) error {
		c, err = d.connect(ctx, alpn, wrap)
		return err
	})
	return c, err
}

// within makes one attempt to connect: not with an expired certificate, not for
// longer than connect_timeout, and not without telling the trace.
func (d *dialer) within(ctx context.Context, connect func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.settings.ConnectTimeout)
	defer cancel()
	start := time.Now()
	err := d.expired(start)
	if err == nil {
		err = connect(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no connection within connect_timeout (%v): %w", d.settings.ConnectTimeout, err)
	}
	if err != nil {
		err = d.connectError(explain(err, d.identity, false))
	}
	if d.Connected != nil {
		d.Connected(d.cluster, d.Endpoint, time.Since(start), err)
	}
	return err
}

// expired says what to do about a client certificate that no server accepts any
// more.
func (d *dialer) expired(now time.Time) error {
	if end := d.NotAfter(); !end.IsZero() && now.After(end) {
		return fmt.Errorf("the client certificate has expired at %s; replace tls.client_cert and tls.client_key", end.UTC().Format(time.RFC3339))
	}
	return nil
}

func (d *dialer) connect(ctx context.Context, alpn []string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
	nd := net.Dialer{KeepAliveConfig: keepAlive, Control: socketOptions}
	tcp, err := nd.DialContext(ctx, "tcp", d.Address)
	if err != nil {
		return nil, err
	}
	if !d.Reserve.FitsUpstream(tcp, d.Check) {
		tcp.Close()
		return nil, descriptors.ErrExhausted
	}
	if err := writeProxyHeader(tcp, d.settings.Proxy); err != nil {
		tcp.Close()
		return nil, err
	}
	if wrap != nil {
		tcp = wrap(tcp)
	}
	if d.identity == nil {
		return tcp, nil
	}
	// net/http finds out about HTTP/2 only from a *tls.Conn.
	c := cryptotls.Client(tcp, d.identity.Config(d.URL.Hostname(), alpn))
	if err := c.HandshakeContext(ctx); err != nil {
		tcp.Close()
		return nil, err
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != "h2" && !slices.Contains(alpn, "http/1.1") {
		c.Close()
		return nil, fmt.Errorf("the server does not offer h2 by ALPN (got %q); add http/1.1 to protocols", got)
	}
	return c, nil
}
