package listenerstest

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	cryptotls "crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
)

// WebSocketTransport is for a WebSocket library that knows HTTP/1.1: it opens
// WebSockets by an extended CONNECT over TLS, and tells of a 101. The
// connection ends with the WebSocket.
type WebSocketTransport struct {
	// HTTP3 says that it is HTTP/3 (RFC 9220) and not 2 (RFC 8441).
	HTTP3 bool
	// TLS is how to connect; the names of protocols are added.
	TLS *cryptotls.Config
	// Status is that of the last answer.
	Status int
}

// RoundTrip makes an http.RoundTripper. The request's URL may be http:, since
// that is what libraries make of ws:.
func (o *WebSocketTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	key := req.Header.Get("Sec-WebSocket-Key")
	// The library's context ends when it has its answer.
	out := req.Clone(context.WithoutCancel(req.Context()))
	out.Method, out.URL.Scheme = http.MethodConnect, "https"
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Key"} {
		out.Header.Del(name)
	}
	open := overHTTP2
	if o.HTTP3 {
		open = overHTTP3
	}
	res, err := open(out, o.TLS.Clone())
	if err != nil {
		return nil, err
	}
	if o.Status = res.StatusCode; res.StatusCode != http.StatusOK {
		return res, nil
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	res.StatusCode = http.StatusSwitchingProtocols
	res.Header.Set("Connection", "Upgrade")
	res.Header.Set("Upgrade", "websocket")
	res.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	return res, nil
}

// tunnel is a stream and what ends with it.
type tunnel struct {
	io.Reader
	io.Writer
	end func()
}

// Close ends the connection.
func (t tunnel) Close() error {
	t.end()
	return nil
}

//nolint:staticcheck // net/http has the same, and refuses :protocol
func overHTTP2(req *http.Request, cfg *cryptotls.Config) (*http.Response, error) {
	cfg.NextProtos = []string{"h2"}
	transport := &http2.Transport{TLSClientConfig: cfg}
	req.Header[":protocol"] = []string{"websocket"}
	up, down := io.Pipe()
	req.Body, req.ContentLength = up, -1
	res, err := transport.RoundTrip(req)
	if err != nil {
		transport.CloseIdleConnections()
		return nil, err
	}
	body := res.Body
	res.Body = tunnel{body, down, func() {
		down.Close()
		body.Close()
		transport.CloseIdleConnections()
	}}
	return res, nil
}

func overHTTP3(req *http.Request, cfg *cryptotls.Config) (*http.Response, error) {
	cfg.NextProtos = []string{http3.NextProtoH3}
	qc, err := quic.DialAddr(req.Context(), req.URL.Host, cfg, nil)
	if err != nil {
		return nil, err
	}
	end := func() { _ = qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") }
	res, str, err := ask3(req, (&http3.Transport{}).NewClientConn(qc))
	if err != nil {
		end()
		return nil, err
	}
	res.Body = tunnel{str, str, end}
	return res, nil
}

func ask3(req *http.Request, conn *http3.ClientConn) (*http.Response, *http3.RequestStream, error) {
	select {
	case <-conn.ReceivedSettings():
	case <-conn.Context().Done():
		return nil, nil, context.Cause(conn.Context())
	}
	if !conn.Settings().EnableExtendedConnect {
		return nil, nil, errors.New("the server does not offer the extended CONNECT")
	}
	str, err := conn.OpenRequestStream(req.Context())
	if err != nil {
		return nil, nil, err
	}
	req.Proto = "websocket"
	if err := str.SendRequestHeader(req); err != nil {
		return nil, nil, err
	}
	res, err := str.ReadResponse()
	return res, str, err
}
