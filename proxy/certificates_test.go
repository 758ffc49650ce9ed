package proxy

import (
	"encoding/pem"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/youmark/pkcs8"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/acme"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// An encrypted key takes its time on purpose, and a scrape has none.
func TestAStatusDecryptsNoKey(t *testing.T) {
	dir, ca := t.TempDir(), tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "localhost")
	opts := *pkcs8.DefaultOpts
	opts.KDFOpts = pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: 100_000, HMACHash: pkcs8.DefaultOpts.KDFOpts.(pkcs8.PBKDF2Opts).HMACHash}
	der, err := pkcs8.MarshalPrivateKey(tlstest.Certificate(t, cert, key).PrivateKey, []byte("secret"), &opts)
	if err != nil {
		t.Fatal(err)
	}
	key = pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
	began := time.Now()
	if _, err := tls.ParseIdentity(cert, key, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	once := time.Since(began)

	tlstest.WritePair(t, dir, "server", cert, key)
	tlstest.WriteFile(t, dir, "pass", []byte("secret"))
	p := run(t, dir, unwatched+`
listeners:
  - name: public
    address: 127.0.0.1:0
    tls: {certificates: [{cert: server.crt, key: server.key, key_passphrase_file: pass}]}
`)
	began = time.Now()
	for range 10 {
		if certs := p.Status().Certs; len(certs) != 1 || certs[0].Use != "listener public" || certs[0].Subject != "localhost" {
			t.Fatalf("%+v", certs)
		}
	}
	if took := time.Since(began); took > once {
		t.Errorf("10 times the status took %v, and to decrypt the key once %v", took, once)
	}
}

func TestTheDaysThatAreLeftAreThoseOfTheMoment(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		g := &Gateway{acme: acme.NewManager(nil, nil)}
		gen := &Generation{certificates: []dated{{Certificate: admin.Certificate{NotAfter: time.Now().Add(2*day + time.Hour)}}}}
		var left []int
		for range 4 {
			left = append(left, g.certificates(gen)[0].DaysLeft)
			time.Sleep(day)
		}
		if got := fmt.Sprint(left); got != "[2 1 0 -1]" {
			t.Errorf("days left, day by day: %s", got)
		}
	})
}
