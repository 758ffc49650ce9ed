package clusters

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

// connector is how a cluster connects. All endpoints with the same connect
// settings share it, and with it one TLS session cache; another identity has
// another connector, so that neither a connection nor a TLS session of one can
// serve the other.
type connector struct {
	cluster  string
	identity *tls.Client // nil on plain text
	settings *Config
	trace    *Trace
	reserve  *descriptors.Reserve
}

func newConnector(cfg *Config, secure bool, opts Options) (*connector, error) {
	n := &connector{cluster: cfg.Name, settings: cfg, trace: opts.Trace, reserve: opts.Reserve}
	if secure {
		var err error
		if n.identity, err = tls.NewClient(cfg.TLS); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// notAfter is the end of the client certificate; zero when there is none.
func (n *connector) notAfter() time.Time {
	if n.identity == nil {
		return time.Time{}
	}
	return n.identity.NotAfter()
}

// http3 reports whether connections are QUIC ones.
func (n *connector) http3() bool { return slices.Contains(n.settings.Protocols, "h3") }

// alpn lists the protocols to offer, best first.
func (n *connector) alpn() []string {
	if len(n.settings.Protocols) > 0 {
		return n.settings.Protocols
	}
	return []string{"h2", "http/1.1"}
}

// dialer makes the connections of one endpoint. There is no other way to an
// upstream than its dial and dialQUIC, and so none without the cluster's
// identity.
type dialer struct {
	*connector
	endpoint string // for errors and traces
	address  string // IP and port
	host     string // of the URL: the name to verify unless server_name says otherwise
	check    bool   // for health checks
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
		err = &ConnectError{Cluster: d.cluster, Endpoint: d.endpoint, Err: explain(err, d.identity, false)}
	}
	if t := d.trace; t != nil && t.Connected != nil {
		t.Connected(d.cluster, d.endpoint, time.Since(start), err)
	}
	return err
}

// expired says what to do about a client certificate that no server accepts any
// more.
func (d *dialer) expired(now time.Time) error {
	if end := d.notAfter(); !end.IsZero() && now.After(end) {
		return fmt.Errorf("the client certificate has expired at %s; replace tls.client_cert and tls.client_key", end.UTC().Format(time.RFC3339))
	}
	return nil
}

func (d *dialer) connect(ctx context.Context, alpn []string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
	nd := net.Dialer{KeepAliveConfig: keepAlive, Control: socketOptions}
	tcp, err := nd.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	if !d.reserve.FitsUpstream(tcp, d.check) {
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
	c := cryptotls.Client(tcp, d.identity.Config(d.host, alpn))
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
