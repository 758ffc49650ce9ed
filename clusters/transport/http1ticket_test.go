package transport

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// A server of TLS 1.3 sends session tickets after the handshake, part of which
// may be unread when the connection gets a request.
func TestAConnectionWithUnreadTicketsIsKept(t *testing.T) {
	record := func(kind byte, length int) []byte {
		return append([]byte{kind, 3, 3, byte(length >> 8), byte(length)}, make([]byte, length)...)
	}
	for name, c := range map[string]struct {
		secure, ends bool
		unread       []byte
		closed       bool
	}{
		"silence":                 {secure: true},
		"silence in plain text":   {},
		"a ticket":                {secure: true, unread: record(23, 1200)},
		"the rest of a ticket":    {secure: true, unread: record(23, 1200)[512:]},
		"a ticket and the end":    {secure: true, ends: true, unread: record(23, 1200), closed: true},
		"the end":                 {secure: true, ends: true, closed: true},
		"the end in plain text":   {ends: true, closed: true},
		"an alert of TLS 1.3":     {secure: true, unread: record(23, 19), closed: true},
		"an alert of TLS 1.2":     {secure: true, unread: record(21, 26), closed: true},
		"an answer to no request": {unread: []byte("HTTP/1.1 408 Request Timeout\r\n\r\n"), closed: true},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			ours, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			theirs, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			// The first byte is read, so that all is there which was sent before.
			if _, err := theirs.Write(slices.Concat([]byte{0}, c.unread)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(ours, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if c.ends {
				theirs.Close()
			}
			conn := newTrackedConn(ours, nil, c.secure)
			open := func() bool { return ours.SetDeadline(time.Time{}) == nil }
			conn.dropIfClosed()
			for deadline := time.Now().Add(10 * time.Second); c.closed && open() && time.Now().Before(deadline); {
				conn.dropIfClosed() // what the kernel hands over may take a moment
			}
			if open() == c.closed {
				t.Errorf("the connection is open: %t", open())
			}
		})
	}
}
