package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestWhatKeepsQUICFromConnectingIsSaid(t *testing.T) {
	ca, other := tlstest.NewCA(t, "Test CA"), tlstest.NewCA(t, "Other CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	mute, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	gone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for want, change := range map[string]func(*upstream){
		"not for the server_name other.example":      func(c *upstream) { c.TLS.ServerName = "other.example" },
		"not for any of verify_names: other.example": func(c *upstream) { c.TLS.VerifyNames = []string{"other.example"} },
		"signed by unknown authority":                func(c *upstream) { c.TLS.CACert = peertest.Identity(t, other, "x").CACert },
		"set tls.client_cert and tls.client_key":     func(c *upstream) { c.TLS.ClientCert.Path, c.TLS.ClientKey.Path = "", "" },
		"the server seems to refuse the client certificate": func(c *upstream) {
			ours := c.TLS.CACert
			c.TLS = peertest.Identity(t, other, "x")
			c.TLS.CACert = ours
		},
		"speaks QUIC on this port, but not HTTP/3": func(c *upstream) {
			c.URL = "https://" + peertest.ServeHTTP3(t, "", ca, peertest.Everything(), "doq").Addr
		},
		"nothing listens on this UDP port": func(c *upstream) { c.URL = "https://" + gone.LocalAddr().String() },
		"no connection within connect_timeout (50ms)": func(c *upstream) {
			c.URL, c.ConnectTimeout = "https://"+mute.LocalAddr().String(), 50*time.Millisecond
		},
		"UDP may be blocked": func(c *upstream) {
			c.URL, c.ConnectTimeout = "https://"+mute.LocalAddr().String(), 50*time.Millisecond
		},
	} {
		cfg := http3Cluster(t, "c", server, ca)
		change(&cfg)
		body := io.NopCloser(strings.NewReader("x"))
		req := peertest.Request(t, "POST", "/", "")
		req.Body, req.GetBody, req.ContentLength = body, nil, 1
		_, err := connect(t, cfg).RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if ce := (*transport.ConnectError)(nil); !errors.As(err, &ce) && !strings.Contains(want, "client") {
			t.Errorf("%v is no ConnectError", err)
		}
	}
}

func TestAKilledHTTP3ServerFailsTheCallAndTheNextReconnects(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	for _, abrupt := range []bool{false, true} {
		server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
		c := connect(t, http3Cluster(t, "c", server, ca))
		stream, stop := peertest.Open(t, c)
		if abrupt {
			server.Socket.Close() // no goodbye
		} else {
			server.Current().Close()
		}
		if abrupt {
			// What is sent next meets a closed port.
			_, _ = c.RoundTrip(peertest.Request(t, "GET", "/", ""))
		}
		if _, err := io.ReadAll(stream.Body); err == nil {
			t.Error("the stream ended well")
		}
		stop()
		server.End()
		_, err := c.RoundTrip(peertest.Request(t, "POST", "/", "x"))
		if ce := (*transport.ConnectError)(nil); !errors.As(err, &ce) {
			t.Errorf("without a server: %v", err)
		}
		again := peertest.ServeHTTP3(t, server.Addr, ca, peertest.Everything())
		peertest.Fetch(t, c, "/")
		if _, all := again.Connections(); all != 1 {
			t.Errorf("%d connections to the new server", all)
		}
	}
}

func TestCallsLeaveAServerThatHasForgottenTheConnection(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	c := connect(t, http3Cluster(t, "c", server, ca))
	peertest.Fetch(t, c, "/")
	server.Socket.Close() // no goodbye
	server.End()
	again := peertest.ServeHTTP3(t, server.Addr, ca, peertest.Everything())
	peertest.Eventually(t, "an answer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		res, err := c.RoundTrip(peertest.Request(t, "POST", "/", "x").WithContext(ctx))
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
	if open, all := again.Connections(); open != 1 || all != 1 {
		t.Errorf("%d of %d connections are open", open, all)
	}
}

func TestNoRequestUsesAQUICConnectionBeyondItsAge(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	cfg := http3Cluster(t, "c", server, ca)
	cfg.MaxConnectionAge = 100 * time.Millisecond
	c := connect(t, cfg)
	_, stop := peertest.Open(t, c)
	peertest.Eventually(t, "new connections", func() bool {
		peertest.Fetch(t, c, "/")
		_, all := server.Connections()
		return all >= 4
	})
	peertest.Eventually(t, "only the stream's connection stays", func() bool { open, _ := server.Connections(); return open == 1 })
	stop()
	peertest.Eventually(t, "all closed", func() bool { open, _ := server.Connections(); return open == 0 })
}

func TestIdleQUICConnectionsCloseAfterIdleTimeout(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	cfg := http3Cluster(t, "c", server, ca)
	cfg.IdleTimeout = 20 * time.Millisecond
	peertest.Fetch(t, connect(t, cfg), "/")
	peertest.Eventually(t, "closed", func() bool { open, all := server.Connections(); return open == 0 && all == 1 })
}
