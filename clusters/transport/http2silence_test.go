package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// streaming answers /stream with a header and no end, and echoes the rest.
func streaming(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/stream" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	peertest.Echo(w, r)
}

func TestASilentConnectionIsLeftAfterOneUnansweredPing(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	for name, secure := range map[string]*tlstest.CA{"h2": ca, "h2c": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := peertest.Serve(t, "", secure, http.HandlerFunc(streaming))
			way := peertest.Forward(t, server.Addr)
			cfg := cluster(t, "c", "http://"+way.Addr)
			cfg.Protocols = []string{"h2"}
			if secure != nil {
				cfg = cluster(t, "c", "https://"+way.Addr)
				cfg.TLS = peertest.Identity(t, ca, "client")
			}
			e := connect(t, cfg)
			stream, err := e.RoundTrip(peertest.Request(t, "GET", "/stream", ""))
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Body.Close()
			peertest.Fetch(t, e, "/")
			if n := way.Count(); n != 1 {
				t.Fatalf("%d connections carry two requests", n)
			}
			way.Silence()
			attempt := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				res, err := e.RoundTrip(peertest.Request(t, "GET", "/", "").WithContext(ctx))
				if err == nil {
					peertest.Read(t, res)
				}
				return err
			}
			if err := attempt(); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("on the silent connection: %v", err)
			}
			peertest.Eventually(t, "a request on another connection", func() bool { return attempt() == nil })
			// What was on the dead connection learns of its end.
			if _, err := io.ReadAll(stream.Body); err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("the stream ended with %v", err)
			}
			if n := way.Count(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}
