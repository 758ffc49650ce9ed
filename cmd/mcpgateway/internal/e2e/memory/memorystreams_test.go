package memory_test

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// plainUpstream is an HTTP/2 server that reads no body (/plain/stall) until the
// end, and has a large answer (/plain/large).
type plainUpstream struct{ end context.Context }

func (p plainUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/plain/stall":
		select {
		case <-r.Context().Done():
		case <-p.end.Done():
		}
	case "/plain/large":
		const size = 10 << 20
		w.Header().Set("Content-Length", fmt.Sprint(size))
		piece := make([]byte, 64<<10)
		for sent := 0; sent < size; sent += len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}
}

// plain puts such a server behind the gateway.
func plain(t *testing.T, end context.Context) func(*harness.World) {
	return func(w *harness.World) {
		w.More = fmt.Sprintf("  - name: plain\n    endpoints: [\"https://127.0.0.1:%s\"]\n    tls: {ca_cert: ca.crt, client_cert: one.crt, client_key: one.key}\n", w.Serve(t, plainUpstream{end}).Port()) + w.More
		w.Route = "  - {match: {path_prefix: /plain}, cluster: plain, timeout: 0s}\n"
	}
}

// narrow is a client that keeps little of an answer that it does not read: else
// the test would need more memory than the gateway.
func narrow(t testing.TB, ca []byte, protocol string) *http.Client {
	t.Helper()
	const window = 64 << 10
	if protocol != "h3" {
		hc := harness.Client(t, ca, protocol)
		hc.Transport.(*http.Transport).HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: window}
		return hc
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	tr := &http3.Transport{TLSClientConfig: &cryptotls.Config{RootCAs: pool}, QUICConfig: &quic.Config{InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window}}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr}
}

// endless is a body that is sent for as long as it is taken.
type endless struct{ end context.Context }

func (e endless) Read(p []byte) (int, error) {
	if e.end.Err() != nil {
		return 0, io.ErrUnexpectedEOF
	}
	return len(p), nil
}

func TestUploadsThatStallTakeNoMoreThanThereIs(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2", "h3"} {
		t.Run(protocol, func(t *testing.T) {
			end, cancel := context.WithCancel(t.Context())
			defer cancel()
			b := besiege(t, newSmallWorld(t, plain(t, end)))
			b.stallStreams(t, end, cancel, protocol, 6, 100, func(ctx context.Context, base string) *http.Request {
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, base+"/plain/stall", endless{ctx})
				return req
			})
		})
	}
}

func TestSlowReadersTakeNoMoreThanThereIs(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2", "h3"} {
		t.Run(protocol, func(t *testing.T) {
			end, cancel := context.WithCancel(t.Context())
			defer cancel()
			b := besiege(t, newSmallWorld(t, plain(t, end)))
			b.stallStreams(t, end, cancel, protocol, 4, 60, func(ctx context.Context, base string) *http.Request {
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, base+"/plain/large", nil)
				return req
			})
		})
	}
}

// stallStreams sends requests over some connections that do not go on, and looks
// how others fare.
func (b *besieged) stallStreams(t *testing.T, ctx context.Context, cancel func(), protocol string, conns, streams int, request func(context.Context, string) *http.Request) {
	var all sync.WaitGroup
	var refused, begun, failed atomic.Int64
	base := "https://" + b.Address("public")
	starting := make(chan struct{}, 32) // handshakes at one time, for slow machines
	stall := func(hc *http.Client) {
		starting <- struct{}{}
		started := sync.OnceFunc(func() { <-starting })
		defer started()
		res, err := hc.Do(request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { started() },
		}), base))
		if err == nil {
			defer res.Body.Close()
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failed.Add(1) // HTTP/1.1: the answer came while the body was sent
		case res.StatusCode == http.StatusOK:
			begun.Add(1)
		default:
			answer, _ := io.ReadAll(res.Body)
			if !served(res) || !strings.Contains(string(answer), `"overload_manager"`) {
				t.Errorf("%d %v %s", res.StatusCode, res.Header, answer)
			}
			refused.Add(1)
		}
		<-ctx.Done()
	}
	for range conns {
		hc := narrow(t, b.CA.PEM(), protocol)
		for range streams {
			all.Go(func() { stall(hc) })
		}
	}
	for deadline := time.Now().Add(time.Minute); refused.Load() == 0; {
		if b.look(); time.Now().After(deadline) {
			t.Fatal("none was refused")
		}
	}
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		b.look()
	}
	t.Logf("%d begun, %d refused, %d failed; %+v", begun.Load(), refused.Load(), failed.Load(), b.Status().Memory)
	cancel()
	all.Wait()
	b.relieved()
}
