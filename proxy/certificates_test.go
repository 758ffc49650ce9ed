package proxy

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// A status is asked for often, and to decrypt a key is made to be slow: none is
// looked at again.
func TestAStatusDecryptsNoKey(t *testing.T) {
	dir := t.TempDir()
	cert, key := tlstest.NewCA(t, "CA").Server(t, "localhost")
	tlstest.WritePair(t, dir, "server", cert, key)
	p := run(t, dir, unwatched+`
listeners:
  - name: public
    address: 127.0.0.1:0
    tls: {certificates: [{cert: server.crt, key: server.key}]}
`)
	if _, err := p.Reload(t.Context()); err != nil { // no reload looks at the file after it
		t.Fatal(err)
	}
	p.shared.generations.newest().config.Listeners[0].TLS.Certificates[0].Key = config.Secret{}
	if certs := p.Status().Certs; len(certs) != 1 || certs[0].Use != "listener public" || certs[0].Subject != "localhost" {
		t.Errorf("%+v", certs)
	}
}

func TestTheDaysThatAreLeftAreThoseOfTheMoment(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		managed := acme.NewManager(nil, nil)
		gen := &Generation{certificates: []dated{{Certificate: admin.Certificate{NotAfter: time.Now().Add(2*day + time.Hour)}}}}
		var left []int
		for range 4 {
			left = append(left, gen.certificatesNow(managed)[0].DaysLeft)
			time.Sleep(day)
		}
		if got := fmt.Sprint(left); got != "[2 1 0 -1]" {
			t.Errorf("days left, day by day: %s", got)
		}
	})
}
