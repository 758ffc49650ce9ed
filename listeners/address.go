package listeners

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// maxUnixPath is what fits sockaddr_un, less its final zero.
const maxUnixPath = 107

// address is where a socket is bound, in the one form that two spellings of
// the same place share.
type address struct {
	network string // tcp, tcp4 or unix
	path    string // of unix
	port    netip.AddrPort
}

func (a address) String() string {
	if a.network == "unix" {
		return "unix:" + a.path
	}
	return a.port.String()
}

// anyPort says that the kernel picks the port.
func (a address) anyPort() bool { return a.network != "unix" && a.port.Port() == 0 }

// OffLoopback reports whether a listener of this address is reached by others than
// programs of this machine over TCP. It is false for what is no address. A name is
// not asked for in DNS.
func OffLoopback(address string) bool {
	if checkAddress(address) != nil {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // a unix socket, in front of which a proxy stands
	}
	ip, err := netip.ParseAddr(host)
	return host != "localhost" && (err != nil || !ip.IsLoopback())
}

// checkAddress reports what is wrong with an address, without asking DNS.
func checkAddress(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		switch {
		case !filepath.IsAbs(path):
			return fmt.Errorf("%q: the path of a unix socket must be absolute", s)
		case len(path) > maxUnixPath:
			return fmt.Errorf("%q: the path of a unix socket has at most %d bytes", s, maxUnixPath)
		}
		return nil
	}
	if strings.HasPrefix(s, "systemd:") {
		return errors.New("systemd sockets are not supported by this version")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port, [::]:port or unix:/path", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port must be a number up to 65535", s)
	}
	if strings.ContainsAny(host, "/ ") {
		return fmt.Errorf("%q: %q is no host", s, host)
	}
	return nil
}

// resolve turns an address of the configuration into the place it names.
func resolve(s string) (address, error) {
	if err := checkAddress(s); err != nil {
		return address{}, err
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return address{network: "unix", path: filepath.Clean(path)}, nil
	}
	tcp, err := net.ResolveTCPAddr("tcp", s)
	if err != nil {
		return address{}, err
	}
	a := address{network: "tcp", port: tcp.AddrPort()}
	if ip := a.port.Addr(); !ip.IsValid() {
		a.port = netip.AddrPortFrom(netip.IPv6Unspecified(), a.port.Port())
	} else if ip = ip.Unmap(); ip.Is4() {
		// Go's "tcp" would make 0.0.0.0 listen on IPv6, too.
		a.network, a.port = "tcp4", netip.AddrPortFrom(ip, a.port.Port())
	}
	return a, nil
}

// Conflict says how two addresses of a configuration exclude each other: that a
// "is also the address of" b, or "overlaps" it; "" when they do not. Names are
// compared as they are, and not looked up.
func Conflict(a, b string) string {
	x, okX := literal(a)
	y, okY := literal(b)
	switch {
	case !okX || !okY:
		if a != b || a == "" || strings.HasSuffix(a, ":0") {
			return ""
		}
		return "is also the address of"
	case x.anyPort():
		return ""
	case x == y:
		return "is also the address of"
	case x.overlaps(y):
		return "overlaps"
	}
	return ""
}

// literal is resolve for an address that holds no name.
func literal(s string) (address, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil && host != "" && !strings.HasPrefix(s, "unix:") {
		if _, err := netip.ParseAddr(host); err != nil {
			return address{}, false
		}
	}
	a, err := resolve(s)
	return a, err == nil
}

// overlaps reports whether two different places receive the same connections:
// one port, and one of them a wildcard that covers the other. [::] is bound
// for IPv4, too.
func (a address) overlaps(b address) bool {
	if a.network == "unix" || b.network == "unix" || a.port.Port() != b.port.Port() || a.port.Port() == 0 {
		return false
	}
	return a.covers(b) || b.covers(a)
}

func (a address) covers(b address) bool {
	ip := a.port.Addr()
	return ip.IsUnspecified() && (ip.Is6() || b.port.Addr().Is4())
}
