package listeners

import (
	"crypto/ecdsa"
	cryptotls "crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// below makes a CA that is signed by the fixture's, and is over at that time,
// with the PEM that has to come with what it issues.
func (f *fixture) below(notAfter time.Time) (ca *tlstest.CA, certPEM []byte) {
	f.t.Helper()
	template := tlstest.Template(f.t, "brief intermediate")
	template.NotAfter = notAfter
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	certPEM, keyPEM := f.ca.Issue(f.t, template)
	pair := tlstest.Certificate(f.t, certPEM, keyPEM)
	return &tlstest.CA{Cert: pair.Leaf, Key: pair.PrivateKey.(*ecdsa.PrivateKey)}, certPEM
}

func TestConnectionEndsWithAnIntermediateOfItsClientCertificate(t *testing.T) {
	s := newStreams()
	f := newFixture(t, s.ServeHTTP)
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.server.SwapTLS(f.snapshot(nil))
	below, belowPEM := f.below(time.Now().Add(2 * time.Second))
	cert, key := below.Client(t, "client")
	one := f.h1(append(cert, belowPEM...), key)
	one.get("/stream")
	res := one.header()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "data: last\n\n" {
		t.Errorf("got %q, %v", body, err)
	}
	one.ended()
}

// While a machine sleeps, no timer of it runs, and the certificate gets older.
// Here the end of the certificate comes closer instead.
func TestRequestBehindTheEndOfItsClientCertificateIsRefused(t *testing.T) {
	conns := make(chan *Conn, 3)
	s := newStreams()
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			conns <- FromContext(r.Context())
		}
		s.ServeHTTP(w, r)
	}
	f := newFixture(t, handler, withHTTP3)
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.server.SwapTLS(f.snapshot(nil))
	cert, key := f.ca.Client(t, "client")
	past := time.Now().Add(-time.Hour).Unix()

	one := f.h1(cert, key)
	one.get("/first")
	one.answer()
	(<-conns).notAfter.Store(past)
	one.get("/")
	res := one.header()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusMisdirectedRequest || !res.Close || !strings.Contains(string(body), "client_certificate_expired") {
		t.Errorf("HTTP/1.1: got %s, %q, %v", res.Status, body, err)
	}
	one.ended()

	two := f.h2(cert, key)
	two.untilEnd(two.get("/first"))
	stream := two.get("/stream")
	two.untilHeaders(stream)
	(<-conns).notAfter.Store(past)
	refused, streamEnded, goneAway := two.get("/"), false, false
	for !streamEnded || !goneAway {
		frame, err := two.framer.ReadFrame()
		if err != nil {
			t.Fatalf("HTTP/2: stream ended %v, GOAWAY %v: %v", streamEnded, goneAway, err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status := frame.PseudoValue("status"); frame.StreamID == refused && status != "421" {
				t.Errorf("HTTP/2: got %s", status)
			}
		case *http2.DataFrame:
			streamEnded = streamEnded || frame.StreamID == stream && frame.StreamEnded()
		case *http2.GoAwayFrame:
			goneAway = true
		}
	}
	two.ended()

	three := f.quic(f.clientTLS(nil, cert, key))
	three.get(t, "/first")
	(<-conns).notAfter.Store(past)
	answer, err := three.Get("https://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("HTTP/3: got %s", answer.Status)
	}
	wait(t, three.last().Context().Done(), "end of the connection of HTTP/3")
}

func TestAStreamEndsSoonAfterASleepOverTheEndOfItsClientCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConn(&Server{connections: newConnections()}, nil, nil, nil, new(places))
		var cut atomic.Bool
		c.cut = func() { cut.Store(true) }
		leaf := &x509.Certificate{NotAfter: time.Now().Add(8 * time.Hour)}
		c.handshaken(&cryptotls.ConnectionState{
			PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}},
		})
		<-time.After(time.Hour)
		if !isOpen(c.Ending()) {
			t.Fatal("ended early")
		}
		c.notAfter.Store(time.Now().Add(-time.Hour).Unix()) // it slept for eight hours
		<-time.After(lookAgain + time.Second)
		if isOpen(c.Ending()) {
			t.Error("the streams go on")
		}
		<-time.After(endGrace)
		if !cut.Load() {
			t.Error("the connection goes on")
		}
	})
}
