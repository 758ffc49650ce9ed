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
		r                *Reserve
		client, upstream bool
	}{
		{nil, true, true},
		{&Reserve{n + 1, n + 1}, true, true},
		{&Reserve{n, n + 1}, false, true},
		{&Reserve{n, n}, false, false},
	} {
		if got := c.r.FitsClient(conn); got != c.client {
			t.Errorf("%+v: a client fits: %t", c.r, got)
		}
		if got := c.r.FitsUpstream(conn); got != c.upstream {
			t.Errorf("%+v: an upstream fits: %t", c.r, got)
		}
	}
	if pipe, _ := net.Pipe(); !(&Reserve{1, 1}).FitsClient(pipe) {
		t.Error("what has no descriptor does not fit")
	}
}

func TestTheReserveIsAShareOfTheLimit(t *testing.T) {
	for limit, want := range map[uint64]int{0: 0, 64: 0, 128: 96, 1024: 960, 1 << 20: 1<<20 - 512, 1 << 40: 0} {
		if got := New(limit).Clients(); got != want {
			t.Errorf("of %d clients have %d, want %d", limit, got, want)
		}
	}
}
