package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
)

// udpSocket is a connected UDP socket. Only a connected one hears from the
// kernel that nothing listens on the other side; others would wait for a server
// that was killed until the connection times out.
type udpSocket struct {
	*net.UDPConn
	batch *ipv4.PacketConn // reads; for IPv6 as well
}

func dialUDP(ctx context.Context, address string) (*udpSocket, error) {
	c, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	udp, ok := c.(*net.UDPConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("a UDP connection is a %T", c)
	}
	return &udpSocket{udp, ipv4.NewPacketConn(udp)}, nil
}

// WriteMsgUDP leaves out the address, which a connected socket has already.
func (s *udpSocket) WriteMsgUDP(b, oob []byte, _ *net.UDPAddr) (n, oobn int, err error) {
	return s.UDPConn.WriteMsgUDP(b, oob, nil)
}

// WriteTo leaves out the address as WriteMsgUDP does.
func (s *udpSocket) WriteTo(b []byte, _ net.Addr) (int, error) { return s.Write(b) }

// ReadBatch passes over the error that some packet was too large for the path:
// finding that out is what such packets were sent for, and no reason to end the
// connection.
func (s *udpSocket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := s.batch.ReadBatch(ms, flags)
		if n <= 0 && errors.Is(err, syscall.EMSGSIZE) {
			continue
		}
		return n, err
	}
}
