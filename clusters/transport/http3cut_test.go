package transport

import (
	cryptotls "crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// cutting is http3 on a connection which it closes for a GOAWAY just as a request
// is sent, before its header is on the way or after.
type cutting struct {
	header bool
	met    int
}

func (c *cutting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.met++
	if c.header {
		httptrace.ContextClientTrace(req.Context()).WroteHeaders()
	}
	return nil, fmt.Errorf("http3: parsing frame failed: %w", &http3.Error{ErrorCode: http3.ErrCodeNoError})
}

func TestARequestThatWasCutBeforeItWasSentIsSentAgain(t *testing.T) {
	for _, header := range []bool{false, true} {
		transport := newConnectionSet(&Pool{dialer: toEcho(t)}).short.choose(0).(*http3Transport)
		t.Cleanup(transport.set.close)
		first, _, err := transport.acquire(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		transport.release(first)
		cut := &cutting{header: header}
		first.client = cut
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://localhost/", strings.NewReader("call"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(req)
		if cut.met != 1 {
			t.Errorf("the connection was given %d requests", cut.met)
		}
		if header {
			if err == nil {
				t.Error("a request was sent twice that the server may have got")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "call" || err != nil {
			t.Errorf("answered %q, %v", b, err)
		}
		res.Body.Close()
	}
}

// toEcho connects to an HTTP/3 server that answers with what it was sent.
func toEcho(t *testing.T) dialer {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ca := tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "localhost")
	server := &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(&cryptotls.Config{Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}}),
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(socket)
	}()
	t.Cleanup(func() {
		server.Close()
		socket.Close()
		<-done
	})
	identity, err := tls.NewClient(&tls.ClientConfig{MinVersion: "1.2", CACert: config.File{Path: "/ca.crt", Data: ca.PEM()}})
	if err != nil {
		t.Fatal(err)
	}
	n := NewConnector("c", identity, Settings{Protocols: []string{"h3"}, ConnectTimeout: 10 * time.Second}, Options{})
	return dialer{n, Target{Address: socket.LocalAddr().String(), URL: &url.URL{Scheme: "https", Host: "localhost"}}}
}
