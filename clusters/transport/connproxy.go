package transport

import (
	"fmt"
	"net"

	"github.com/pires/go-proxyproto"
)

// writeProxyHeader begins a connection with the PROXY header that the endpoint waits
// for. Requests of many clients share the connection, so it names none of them.
func writeProxyHeader(conn net.Conn, version string) error {
	header := proxyproto.Header{Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	switch version {
	case "v1":
		header.Version, header.Command = 1, proxyproto.PROXY
	case "v2":
		header.Version = 2
	default:
		return nil
	}
	if _, err := header.WriteTo(conn); err != nil {
		return fmt.Errorf("PROXY header: %w", err)
	}
	return nil
}
