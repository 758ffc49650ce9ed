package routes

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// upgradeOf returns the protocol that an HTTP/1.1 request asks to switch to,
// "" when there is none that may be passed on. Other versions of HTTP are
// ignored, as RFC 9110 section 7.8 allows: behind them the client could send
// requests that no route here has seen.
func upgradeOf(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || len(r.Header["Upgrade"]) != 1 || !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") {
		return ""
	}
	protocol := r.Header["Upgrade"][0]
	name, _, _ := strings.Cut(strings.ToLower(protocol), "/")
	switch {
	case strings.Contains(name, ","), name == "", name == "h2c", name == "h2", name == "http", name == "tls":
		return ""
	}
	return protocol
}

// upgrade switches both connections to the protocol that they agreed on, and
// passes bytes until one of them ends.
func (x *exchange) upgrade(out *http.Request, resp *http.Response) {
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	asked := out.Header.Get("Upgrade")
	if !ok || asked == "" || !strings.EqualFold(asked, resp.Header.Get("Upgrade")) {
		resp.Body.Close()
		x.fail(fmt.Errorf("%w: it switched to %q, and %q was asked for", transport.ErrProtocol, resp.Header.Get("Upgrade"), asked))
		return
	}
	defer upstream.Close()
	conn, buffered, err := x.control.Hijack()
	if err != nil {
		x.info.SetReason("taking over the connection: " + err.Error())
		filter.WriteError(x.w, http.StatusInternalServerError, "internal_error", "the connection cannot be upgraded")
		return
	}
	defer conn.Close()
	if x.conn != nil {
		defer x.conn.Stream()()
	}
	if err := switching(conn, resp.Header, asked, x.answer); err != nil {
		x.info.SetFlag(filter.FlagDownstreamConnectionTermination)
		x.info.SetReason(err.Error())
		return
	}
	early, _ := buffered.Peek(buffered.Reader.Buffered()) // never more than is there
	t := &tunnel{
		exchange: x, client: conn, early: bytes.Clone(early), upstream: upstream,
		webSocket: strings.EqualFold(asked, "websocket"), over: make(chan struct{}),
	}
	t.run()
}

// switching writes the 101, which no ResponseWriter sends after a hijack.
func switching(conn net.Conn, header http.Header, protocol string, answer *edits) error {
	h := make(http.Header, len(header)+2)
	endToEnd(h, header)
	delete(h, "Content-Length") // RFC 9110 section 8.6
	answer.apply(h)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	b := bytes.NewBufferString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(b) // a buffer takes everything
	b.WriteString("\r\n")
	if _, err := b.WriteTo(conn); err != nil {
		return fmt.Errorf("answering the upgrade: %w", err)
	}
	return nil
}
