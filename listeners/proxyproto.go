package listeners

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/pires/go-proxyproto"
)

// ProxyProtocol says from whom a PROXY header is required.
type ProxyProtocol struct {
	From []netip.Prefix `yaml:"from" doc:"CIDRs of load balancers that begin each connection with a PROXY v1 or v2 header; from others none is accepted."`
}

// balances reports whether an address is that of a load balancer, which names
// its clients.
func (p *ProxyProtocol) balances(addr netip.Addr) bool {
	addr = addr.WithZone("") // with one it is in no prefix
	return slices.ContainsFunc(p.From, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxProxyHeader bounds a PROXY header in bytes. Version 2 could be 64 KiB
// long; real ones have addresses and a few hundred bytes of TLVs.
const maxProxyHeader = 4 << 10

// proxiedConn is a connection whose PROXY header was read: it has the addresses
// of the client, and begins behind the header.
type proxiedConn struct {
	net.Conn
	remote, local net.Addr
	rest          []byte // what came together with the header
}

func (i *proxiedConn) RemoteAddr() net.Addr { return i.remote }
func (i *proxiedConn) LocalAddr() net.Addr  { return i.local }

func (i *proxiedConn) Read(p []byte) (int, error) {
	if len(i.rest) == 0 {
		return i.Conn.Read(p)
	}
	n := copy(p, i.rest)
	if i.rest = i.rest[n:]; len(i.rest) == 0 {
		i.rest = nil
	}
	return n, nil
}

// CloseWrite lets an answer end before its connection does.
func (i *proxiedConn) CloseWrite() error { return closeWrite(i.Conn) }

// readProxyHeader reads the PROXY header of a connection from a load balancer. From
// another peer it would be a claim, and is left to be refused as what it is: no
// TLS and no HTTP.
func (s *Server) readProxyHeader(c *Conn) error {
	if !s.config.ProxyProtocol.balances(c.remote.Addr()) {
		return nil
	}
	c.raw.SetReadDeadline(time.Now().Add(s.config.Limits.HeaderTimeout))
	defer c.raw.SetReadDeadline(time.Time{})
	header, rest, err := readProxyHeader(c.raw)
	if err != nil {
		return fmt.Errorf("PROXY header: %w", err)
	}
	in := &proxiedConn{Conn: c.raw, remote: c.raw.RemoteAddr(), local: c.raw.LocalAddr(), rest: rest}
	c.raw = in
	// LOCAL and UNKNOWN are the load balancer itself, such as its health check.
	if source, destination, ok := header.TCPAddrs(); ok && !header.Command.IsLocal() {
		in.remote, in.local = source, destination
		c.remote, c.local, c.peer = addrPort(source), addrPort(destination), source
		if !c.takeClientPlace() {
			return errPerAddress
		}
	}
	return nil
}

// proxyFixed is the length in bytes of what a header of version 2 begins with, up
// to the addresses.
const proxyFixed = 16

// checkProxySum compares the checksum that a header of version 2 may have with
// what came (section 2.2.4 of the PROXY protocol, PP2_TYPE_CRC32C). The library
// does not.
func checkProxySum(header *proxyproto.Header, raw []byte) error {
	if header.Version != 2 || header.Command.IsLocal() {
		return nil
	}
	at := proxyFixed
	switch t := header.TransportProtocol; {
	case t.IsIPv4():
		at += 12
	case t.IsIPv6():
		at += 36
	case t.IsUnix():
		at += 216
	}
	const typeAndLength, sum = 3, 4
	for at < len(raw) {
		if len(raw)-at < typeAndLength {
			return proxyproto.ErrTruncatedTLV
		}
		kind, length := proxyproto.PP2Type(raw[at]), int(binary.BigEndian.Uint16(raw[at+1:]))
		at += typeAndLength
		switch {
		case length > len(raw)-at:
			return proxyproto.ErrTruncatedTLV
		case kind != proxyproto.PP2_TYPE_CRC32C:
		case length != sum:
			return fmt.Errorf("its checksum has %d bytes instead of %d", length, sum)
		default:
			zeroed := slices.Concat(raw[:at], make([]byte, sum), raw[at+sum:])
			if crc32.Checksum(zeroed, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(raw[at:]) {
				return errors.New("its checksum is not that of what came")
			}
		}
		at += length
	}
	return nil
}

// The forms of a header begin like this; no TLS record and no request does.
const (
	proxyV1 = "PROXY "
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

var (
	errNoProxyHeader = errors.New("the connection does not begin with one; does the load balancer send it?")
	errNoByte        = errors.New("the connection ended before its first byte")
)

// readProxyHeader reads the header that a connection begins with, and what came
// behind it.
func readProxyHeader(conn net.Conn) (header *proxyproto.Header, rest []byte, err error) {
	raw, rest, err := readWhole(conn)
	if err != nil {
		return nil, nil, err
	}
	// The library takes a header of version 1 only when it is whole.
	if header, err = proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(raw), maxProxyHeader)); err != nil {
		return nil, nil, err
	}
	return header, rest, checkProxySum(header, raw)
}

// readWhole reads until the header is whole, in however many pieces it comes. rest
// is what came behind it.
func readWhole(conn net.Conn) (header, rest []byte, err error) {
	buf := make([]byte, 0, maxProxyHeader)
	for {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		size, wrong := proxyHeaderSize(buf)
		switch {
		case wrong != nil:
			return nil, nil, wrong
		case size > 0 && len(buf) >= size:
			return buf[:size], slices.Clone(buf[size:]), nil
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, nil, fmt.Errorf("no more than %d bytes came within header_timeout", len(buf))
		case len(buf) == 0:
			return nil, nil, errNoByte
		default:
			return nil, nil, fmt.Errorf("it broke off after %d bytes", len(buf))
		}
	}
}

// proxyHeaderSize is the length of the header that b begins with; 0 while that
// cannot be told.
func proxyHeaderSize(b []byte) (int, error) {
	const longestV1 = 107 // with the line's end
	switch {
	case begins(b, proxyV1):
		if end := bytes.IndexByte(b, '\n'); end >= 0 && end < longestV1 {
			return end + 1, nil
		} else if len(b) >= longestV1 {
			return 0, errors.New("the line has no end")
		}
		return 0, nil
	case begins(b, proxyV2):
		if len(b) < proxyFixed {
			return 0, nil
		}
		size := proxyFixed + int(binary.BigEndian.Uint16(b[proxyFixed-2:]))
		if size > maxProxyHeader {
			return 0, fmt.Errorf("it has %d bytes, and may have %d", size, maxProxyHeader)
		}
		return size, nil
	}
	return 0, errNoProxyHeader
}

// begins reports whether b begins with the prefix, as far as it goes.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}
