package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// RawConn is one HTTP/1.1 connection that the test holds in its hands.
type RawConn struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

// Get asks once and returns the status, and whether the connection stays.
func (r *RawConn) Get(path string) (status int, stays bool, err error) {
	r.c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(r.c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	resp, err := http.ReadResponse(r.r, nil)
	if err != nil {
		return 0, false, err
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode, !resp.Close, nil
}

// Expect fails the test where Get returns anything else.
func (r *RawConn) Expect(path string, status int, stays bool) {
	r.t.Helper()
	s, st, err := r.Get(path)
	if err != nil || s != status || st != stays {
		r.t.Errorf("GET %s: %d, the connection stays: %t, %v; want %d, %t", path, s, st, err, status, stays)
	}
}

// ExpectClosed waits for the gateway to close the connection.
func (r *RawConn) ExpectClosed() {
	r.t.Helper()
	r.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		r.t.Errorf("the connection was not closed: %v", err)
	}
}
