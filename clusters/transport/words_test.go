package transport

import (
	"context"
	cryptotls "crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// The errors of net/http that are known by their words alone must still have
// them: each is provoked here, so that a release of Go that words one otherwise
// is noticed.
func TestNetHTTPStillSaysWhatIsExplained(t *testing.T) {
	for name, test := range map[string]struct {
		serve func(net.Conn)
		http2 bool
		is    func(error) bool
	}{
		"a connection that is silent": {
			func(c net.Conn) {
				_, _ = c.Write([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00")) // SETTINGS
				_, _ = io.Copy(io.Discard, c)
			},
			true, func(err error) bool { return strings.Contains(explain(err, nil, false).Error(), errSilent.Error()) },
		},
		"a server that speaks TLS": {
			func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1))
				_, _ = c.Write([]byte("\x15\x03\x01\x00\x02\x02\x46\r\n")) // an alert, and what ends the line
			},
			false, func(err error) bool { return strings.Contains(explain(err, nil, false).Error(), "is it https://?") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				test.serve(c)
				c.Close()
			}()
			client := &http.Transport{
				Protocols: new(http.Protocols),
				HTTP2:     &http.HTTP2Config{SendPingTimeout: 20 * time.Millisecond, PingTimeout: 20 * time.Millisecond},
			}
			defer client.CloseIdleConnections()
			client.Protocols.SetUnencryptedHTTP2(test.http2)
			client.Protocols.SetHTTP1(!test.http2)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.RoundTrip(req)
			if err == nil {
				res.Body.Close()
				t.Fatal("it has answered")
			}
			if !test.is(err) {
				t.Errorf("net/http says now: %v", err)
			}
		})
	}
}

func TestTLSStillUsesTheWords(t *testing.T) {
	for _, alert := range []uint8{116, 42, 46, 43, 45, 44, 40, 49} { // RFC 8446, section 6.2
		if err := cryptotls.AlertError(alert); !refusal(err.Error()) {
			t.Errorf("alert %d is now: %v", alert, err)
		}
	}
}

func TestHTTP3StillSaysThatAConnectionIsUnusable(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h3 := &http3.Server{Handler: http.NotFoundHandler(), TLSConfig: http3.ConfigureTLSConfig(&cryptotls.Config{Certificates: server.TLS.Certificates})}
	served := make(chan struct{})
	go func() { defer close(served); _ = h3.Serve(udp) }()
	defer func() { h3.Close(); udp.Close(); <-served }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := quic.DialAddr(ctx, udp.LocalAddr().String(), &cryptotls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}, nil) //nolint:gosec // the server is the test's
	if err != nil {
		t.Fatal(err)
	}
	client := (&http3.Transport{}).NewClientConn(conn)
	_ = conn.CloseWithError(0, "")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://127.0.0.1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.RoundTrip(req)
	if err == nil {
		res.Body.Close()
		t.Fatal("it has answered")
	}
	if !unsent(err, false) {
		t.Errorf("http3 says now: %v", err)
	}
}
