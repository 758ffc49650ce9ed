package main

import (
	"context"
	"net"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// window is small, so that the kernel buffers little of an answer for a client that
// does not read.
const window = 64 << 10

func h1(g *gateway) (*http.Client, func()) {
	tr := &http.Transport{TLSClientConfig: g.tls(), DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			_ = conn.(*net.TCPConn).SetReadBuffer(window)
		}
		return conn, err
	}}
	return &http.Client{Transport: tr}, tr.CloseIdleConnections
}

func h2(g *gateway) (*http.Client, func()) {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	tr := &http.Transport{TLSClientConfig: g.tls(), Protocols: protocols, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: window, StrictMaxConcurrentRequests: true}}
	return &http.Client{Transport: tr}, tr.CloseIdleConnections
}

func h3(g *gateway) (*http.Client, func()) {
	tr := &http3.Transport{TLSClientConfig: g.tls(), QUICConfig: &quic.Config{InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window}}
	return &http.Client{Transport: tr}, func() { _ = tr.Close() }
}
