package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
)

// Linux gives out ports from 32768 by itself (ip_local_port_range), so that what
// listens on port 0, or connects, takes none of these before they are used.
const firstPort, endOfPorts = 10000, 32768

// FreePort is a port of 127.0.0.1 that no process holds, for TCP or for UDP.
func FreePort(t testing.TB) int {
	t.Helper()
	return FreePorts(t, 1)[0]
}

// FreePorts are n such ports, each another one.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	var err error
	for range 100 + n {
		if len(ports) == n {
			return ports
		}
		port := firstPort + rand.IntN(endOfPorts-firstPort)
		if err = bind(port); err == nil && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	t.Fatalf("finding %d free ports: %v", n, err)
	return nil
}

// bind tries whether a port can be had.
func bind(port int) error {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	return u.Close()
}
