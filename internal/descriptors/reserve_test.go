package descriptors

import (
	"net"
	"testing"
)

func TestTheLastDescriptorsAreNotForClients(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n := number(conn)
	if n == 0 {
		t.Fatal("a connection has no descriptor")
	}
	for _, c := range []struct {
		r                       *Reserve
		client, upstream, check bool
	}{
		{nil, true, true, true},
		{&Reserve{most: 1, clients: n + 1, upstreams: n + 1, checks: n + 1}, true, true, true},
		{&Reserve{most: 1, clients: n + 1, upstreams: n, checks: n + 1}, true, false, true},
		{&Reserve{most: 1, clients: n, upstreams: n, checks: n}, false, false, false},
		{&Reserve{most: 0, clients: n + 1, upstreams: n + 1, checks: n}, false, true, false},
	} {
		for range 2 {
			got := c.r.Enter(conn)
			if got != c.client {
				t.Errorf("%+v: a client fits: %t", c.r, got)
			}
			if got && c.r != nil {
				if c.r.Enter(conn) {
					t.Error("one more than most fits")
				}
				c.r.Leave()
			}
		}
		if got := c.r.FitsUpstream(conn, false); got != c.upstream {
			t.Errorf("%+v: an upstream fits: %t", c.r, got)
		}
		if got := c.r.FitsUpstream(conn, true); got != c.check {
			t.Errorf("%+v: a health check fits: %t", c.r, got)
		}
	}
	if pipe, _ := net.Pipe(); !(&Reserve{most: 1, clients: 1}).Enter(pipe) {
		t.Error("what has no descriptor does not fit")
	}
}

func TestClientsHaveAShareOfTheLimit(t *testing.T) {
	for limit, want := range map[uint64]int{0: 0, 64: 0, 128: 64, 1024: 512, 1 << 20: 1 << 19, 1 << 40: 0} {
		if got := New(limit).Clients(); got != want {
			t.Errorf("of %d clients have %d, want %d", limit, got, want)
		}
	}
}
