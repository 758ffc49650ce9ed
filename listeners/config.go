package listeners

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
)

// Config is one element of `listeners`.
type Config struct {
	Name           string            `yaml:"name" required:"true" pattern:"[A-Za-z0-9][A-Za-z0-9._-]{0,62}" doc:"Name that routes refer to." example:"public"`
	Address        string            `yaml:"address" required:"true" doc:"host:port, [::]:port or unix:/path." example:"0.0.0.0:8443"`
	Protocols      []string          `yaml:"protocols" default:"[http/1.1, h2]" enum:"http/1.1,h2,h3" doc:"HTTP versions, by ALPN on TLS and by prior knowledge on plain text; h3 is served on the UDP port of the same number."`
	ProxyProtocol  ProxyProtocol     `yaml:"proxy_protocol" doc:"PROXY v1 and v2 in front of TLS."`
	TrustedProxies []TrustedProxy    `yaml:"trusted_proxies" doc:"CIDRs, judged after PROXY, whose X-Forwarded-* is trusted; unix: those of all clients of a unix socket."`
	TLS            *tls.ServerConfig `yaml:"tls" doc:"Absent: plain text."`
	Limits         Limits            `yaml:"limits" doc:"Bounds on what clients may use."`
}

// Limits bound what the clients of a listener may use.
type Limits struct {
	MaxConnections           int           `yaml:"max_connections" default:"10000" min:"1" doc:"Connections at one time; more are closed at once."`
	MaxConnectionsPerAddress int           `yaml:"max_connections_per_address" default:"1000" min:"0" doc:"Connections of one client's address at one time, of IPv6 its /64; 0: as many as max_connections. Those of proxy_protocol count for the client that it names, those of trusted_proxies and of unix sockets for none."`
	MaxHeaderBytes           config.Size   `yaml:"max_header_bytes" default:"64KiB" min:"1KiB" max:"16MiB" doc:"Size of a request's header; more is answered with 431."`
	HeaderTimeout            time.Duration `yaml:"header_timeout" default:"10s" min:"1ms" doc:"First byte to end of headers; also the TLS handshake."`
	IdleTimeout              time.Duration `yaml:"idle_timeout" default:"2m" min:"1ms" doc:"Connection without a request, or a transfer without progress."`
	MaxConcurrentStreams     int           `yaml:"max_concurrent_streams" default:"100" min:"1" max:"100000" doc:"Requests at one time on an HTTP/2 connection."`
}

// Validate checks what tags cannot say.
func (c *Config) Validate(s *config.Scope) {
	if c.Name == "all" {
		s.Errorf("name", `"all" is what routes call every listener`)
	}
	if c.Address != "" {
		if err := checkAddress(c.Address); err != nil {
			s.Errorf("address", "%v", err)
		}
	}
	if strings.HasPrefix(c.Address, "unix:") && len(c.ProxyProtocol.From) > 0 {
		s.Errorf("proxy_protocol.from", "a unix socket's clients have no address that a CIDR could hold; let the load balancer connect over TCP")
	}
	if !strings.HasPrefix(c.Address, "unix:") && slices.Contains(c.TrustedProxies, TrustedProxy{unix: true}) {
		s.Errorf("trusted_proxies", "unix means the clients of a unix socket, which this listener has not; write a CIDR")
	}
	switch {
	case len(c.Protocols) == 0:
		s.Errorf("protocols", "at least one protocol is needed")
	case c.serves(protoHTTP3) && c.TLS == nil:
		s.Errorf("protocols", "h3 needs tls: there is no HTTP/3 in plain text")
	case c.serves(protoHTTP3) && strings.HasPrefix(c.Address, "unix:"):
		s.Errorf("protocols", "h3 needs a UDP port, which a unix socket has not")
	case c.serves(protoHTTP3) && len(c.ProxyProtocol.From) > 0:
		s.Errorf("protocols", "h3 runs over UDP, for which proxy_protocol has no header; take one of the two out")
	case c.serves(protoHTTP3) && len(c.Protocols) == 1:
		s.Errorf("protocols", "h3 stands beside http/1.1 or h2: clients learn of it there (Alt-Svc), and where UDP is blocked they come back")
	}
}

// DefinitionFingerprint sums up what a Server cannot change while it serves:
// when it differs, connections drain to a new Server. Name and address are not
// part of it, nor are certificates, client trust and accepted names.
func (c *Config) DefinitionFingerprint() [32]byte {
	definition := struct {
		Protocols      []string       `yaml:"protocols"`
		ProxyProtocol  ProxyProtocol  `yaml:"proxy_protocol"`
		TrustedProxies []TrustedProxy `yaml:"trusted_proxies"`
		Limits         Limits         `yaml:"limits"`
		TLS            bool           `yaml:"tls"`
		Handshake      []handshake    `yaml:"handshake"`
	}{Protocols: c.Protocols, ProxyProtocol: c.ProxyProtocol, TrustedProxies: c.TrustedProxies, Limits: c.Limits, TLS: c.TLS != nil}
	if c.TLS != nil {
		for _, p := range c.TLS.Resolved() {
			definition.Handshake = append(definition.Handshake, handshake{p.Hosts, p.MinVersion, p.ClientAuth.Mode})
		}
	}
	return config.Fingerprint(definition)
}

// handshake is the part of a TLS policy that decides how clients are asked:
// who was asked in another way is no longer the same.
type handshake struct {
	Hosts      []string
	MinVersion string
	ClientAuth tls.ClientAuthMode
}

// serves reports whether the protocol may be spoken.
func (c *Config) serves(protocol string) bool { return slices.Contains(c.Protocols, protocol) }
