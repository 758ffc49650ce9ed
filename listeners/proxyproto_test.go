package listeners

import (
	"bufio"
	"context"
	cryptotls "crypto/tls"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// behindProxy takes the loopback network for load balancers that name their clients.
func behindProxy(cidr string) func(*Config) {
	return func(cfg *Config) { cfg.ProxyProtocol.From = []netip.Prefix{netip.MustParsePrefix(cidr)} }
}

func proxyHeader(t testing.TB, version byte) []byte {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 443})
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// summed is a PROXY v2 header with a padding and a checksum, which is wrong by
// what is added to it.
func summed(t testing.TB, add uint32) []byte {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 443})
	if err := h.SetTLVs([]proxyproto.TLV{
		{Type: proxyproto.PP2_TYPE_NOOP, Value: make([]byte, 5)},
		{Type: proxyproto.PP2_TYPE_CRC32C, Value: make([]byte, 4)},
		{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("localhost")},
	}); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[16+12+3+5+3:], sum+add)
	return b
}

func tellAddresses(w http.ResponseWriter, r *http.Request) {
	c := FromContext(r.Context())
	io.WriteString(w, r.Proto+" "+c.RemoteAddr().String()+" "+r.RemoteAddr+" "+c.LocalAddr().String())
}

func TestClientsAreIntroducedByPROXY(t *testing.T) {
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	const who = "192.0.2.7:4711 192.0.2.7:4711 198.51.100.1:443"
	for _, c := range []struct {
		name   string
		header []byte
		from   string
		bytes  bool // one by one
		want   string
	}{
		{"v1", proxyHeader(t, 1), "127.0.0.0/8", false, who},
		{"v2", proxyHeader(t, 2), "127.0.0.0/8", false, who},
		{"v1 in bytes", proxyHeader(t, 1), "127.0.0.0/8", true, who},
		{"v2 in bytes", proxyHeader(t, 2), "127.0.0.0/8", true, who},
		{"v2 with its checksum", summed(t, 0), "127.0.0.0/8", false, who},
		{"v2 with another checksum", summed(t, 1), "127.0.0.0/8", false, ""},
		{"LOCAL", local, "127.0.0.0/8", false, "127.0.0.1:"},
		{"UNKNOWN", []byte("PROXY UNKNOWN\r\n"), "127.0.0.0/8", false, "127.0.0.1:"},
		{"none where none is wanted", nil, "10.0.0.0/8", false, "127.0.0.1:"},
		{"none where one is required", nil, "127.0.0.0/8", false, ""},
		{"one where none is believed", proxyHeader(t, 1), "10.0.0.0/8", false, ""},
		{"broken v1", []byte("PROXY TCP4 1.2.3.4\r\n"), "127.0.0.0/8", false, ""},
		{"broken v2", proxyHeader(t, 2)[:14], "127.0.0.0/8", false, ""},
		{"endless v1", []byte("PROXY TCP4 " + strings.Repeat("1", 1<<16)), "127.0.0.0/8", false, ""},
	} {
		for _, secure := range []bool{true, false} {
			for _, proto := range []string{"http/1.1", "h2"} {
				t.Run(c.name+map[bool]string{true: "/tls/", false: "/plain/"}[secure]+proto, func(t *testing.T) {
					f := newFixture(t, tellAddresses, behindProxy(c.from), func(cfg *Config) {
						cfg.Limits.HeaderTimeout = time.Second
						if !secure {
							cfg.TLS = nil
						}
					})
					got, err := f.askBehind(c.header, c.bytes, secure, proto)
					if c.want == "" {
						if err == nil && !strings.HasPrefix(got, "400") {
							t.Errorf("answered: %s", got)
						}
						return
					}
					if err != nil || !strings.Contains(got, c.want) {
						t.Errorf("%q, %v", got, err)
					}
				})
			}
		}
	}
}

// askBehind sends a request behind a header.
func (f *fixture) askBehind(header []byte, single, secure bool, proto string) (string, error) {
	conn, err := net.Dial("tcp", f.socket.Addr().String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if !single {
		_, _ = conn.Write(header)
	}
	for i := range header {
		if single {
			_, _ = conn.Write(header[i : i+1])
		}
	}
	if secure {
		c := cryptotls.Client(conn, f.clientTLS([]string{proto}))
		if err := c.Handshake(); err != nil {
			return "", err
		}
		conn = c
	}
	if proto == "http/1.1" {
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return res.Status + " " + string(body), err
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	// TLS, if any, is spoken already.
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://localhost/")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.Status + " " + string(body), err
}

func TestASlowPROXYHeaderIsGivenUp(t *testing.T) {
	f := newFixture(t, tellAddresses, plain, behindProxy("127.0.0.0/8"), limits(func(l *Limits) { l.HeaderTimeout = 50 * time.Millisecond }))
	conn, err := net.Dial("tcp", f.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "PROXY TC")
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
	if got := f.trace.reasons(); len(got) != 1 || got[0] != "proxy_protocol" {
		t.Errorf("rejected for %v", got)
	}
}

func TestWhatIsWrongWithAPROXYHeaderIsTold(t *testing.T) {
	f := newFixture(t, tellAddresses, plain, behindProxy("127.0.0.0/8"), limits(func(l *Limits) { l.HeaderTimeout = 300 * time.Millisecond }))
	for n, c := range []struct {
		sent string
		ends bool
		want string // "" is nothing
	}{
		{"GET / HTTP/1.1\r\n", true, "PROXY header: the connection does not begin with one; does the load balancer send it?"},
		{"PROXY TCP4", true, "PROXY header: it broke off after 10 bytes"},
		{"PROXY TCP4", false, "PROXY header: no more than 10 bytes came within header_timeout"},
		{"PROXY TCP4 1.2.3.4\r\n", false, "PROXY header: proxyproto: can't read address family or protocol"},
		{"", false, "PROXY header: no more than 0 bytes came within header_timeout"},
		{"", true, ""}, // a load balancer that looks whether the port is open
	} {
		conn, err := net.Dial("tcp", f.socket.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, c.sent)
		if c.ends {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
		testkit.Eventually(t, "a rejection", func() bool { return len(f.trace.reasons()) > n })
		conn.Close()
		f.trace.mu.Lock()
		err = f.trace.badHeaders[n]
		f.trace.mu.Unlock()
		if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && (c.want == "" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%q: got %v, want %q", c.sent, err, c.want)
		}
	}
}

// A link-local address comes with the name of the interface, which no prefix has.
func TestALoadBalancerOnTheSameLinkIsRecognised(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_, _ = theirs.Write(proxyHeader(t, 2))
		theirs.Close()
	}()
	s := &Server{config: Config{Limits: Limits{HeaderTimeout: patience}, ProxyProtocol: ProxyProtocol{From: []netip.Prefix{netip.MustParsePrefix("fe80::/10")}}}}
	c := newConn(s, ours, nil, nil, new(places))
	c.remote = netip.MustParseAddrPort("[fe80::1%eth0]:1")
	if err := s.readProxyHeader(c); err != nil || c.remote.String() != "192.0.2.7:4711" {
		t.Errorf("the client is %s, %v", c.remote, err)
	}
}

func FuzzPROXYHeader(f *testing.F) {
	for _, version := range []byte{1, 2} {
		f.Add(proxyHeader(f, version))
	}
	f.Add([]byte("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			_, _ = theirs.Write(data)
			theirs.Close()
		}()
		s := &Server{config: Config{Limits: Limits{HeaderTimeout: time.Second}, ProxyProtocol: ProxyProtocol{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}
		c := newConn(s, ours, nil, nil, new(places))
		c.remote = netip.MustParseAddrPort("127.0.0.1:1")
		if err := s.readProxyHeader(c); err != nil {
			return
		}
		rest, _ := io.ReadAll(c.raw)
		if len(rest) >= len(data) || !strings.HasSuffix(string(data), string(rest)) {
			t.Errorf("behind the header of %q there is %q", data, rest)
		}
	})
}
