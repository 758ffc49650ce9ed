package transport

import (
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/mcpgateway/mcpgateway/tls"
)

// refusals are the alerts by which servers turn a client certificate away, or
// the lack of one (RFC 8446, section 6.2). In TLS 1.3 they come only after the
// client's handshake is done, in answer to the first request.
var refusals = []string{
	"certificate required", "bad certificate", "unknown certificate", "unsupported certificate",
	"expired certificate", "revoked certificate", "handshake failure", "access denied",
}

// explain adds what to do to errors that do not say so by themselves. fresh
// says that err came with the first request on its connection.
func explain(err error, identity *tls.Client, fresh bool) error {
	var op *net.OpError
	var record cryptotls.RecordHeaderError
	switch {
	case errors.As(err, &op) && op.Op == "remote error" && refusal(op.Err.Error()):
		return fmt.Errorf("%w: %s", err, advice(identity))
	case quicAlert(err) == noALPN:
		return fmt.Errorf("%w: the server speaks QUIC on this port, but not HTTP/3", err)
	case refusal(quicAlert(err)):
		return fmt.Errorf("%w: %s", err, advice(identity))
	case fresh && identity != nil && hungUp(err):
		// The alert can be lost when the request crosses it on the wire.
		return fmt.Errorf("%w, right after the TLS handshake: %s", err, advice(identity))
	case strings.Contains(err.Error(), "http2: client connection lost"):
		return fmt.Errorf("%w: %w", err, errSilent)
	case errors.As(err, &record):
		return fmt.Errorf("%w: the server does not speak TLS on this port; is it http://?", err)
	case identity == nil && strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`):
		return fmt.Errorf("%w: the server speaks TLS on this port; is it https://?", err)
	}
	return err
}

func refusal(alert string) bool {
	return slices.ContainsFunc(refusals, func(name string) bool { return strings.Contains(alert, name) })
}

// advice is for those whose certificate a server does not like.
func advice(identity *tls.Client) string {
	if identity == nil || identity.NotAfter().IsZero() {
		return "the server seems to ask for a client certificate: set tls.client_cert and tls.client_key"
	}
	return "the server seems to refuse the client certificate: is it issued by a CA that the server trusts, and for client authentication?"
}

// notEstablished is all that net/http says of an HTTP/2 connection that ends before
// its first request.
const notEstablished = "http2: client conn could not be established"

// hungUp reports whether the other side has closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), notEstablished)
}
