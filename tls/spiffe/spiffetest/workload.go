// Package spiffetest serves the SPIFFE Workload API to tests, over real gRPC on
// a Unix socket.
package spiffetest

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// WorkloadAPI is an agent with one registration entry at most. It is safe for
// concurrent use.
type WorkloadAPI struct {
	// Socket is the address, unix:///…/agent.sock.
	Socket string

	workload.UnimplementedSpiffeWorkloadAPIServer
	t    testing.TB
	path string

	mu        sync.Mutex
	server    *grpc.Server // nil: stopped
	served    chan struct{}
	federated map[string][]byte
	responses []*workload.X509SVIDResponse // every one, oldest first; nil: no identity
	added     chan struct{}                // closed with the next one
	watches   int
}

// Start serves until the test ends. Until SetSVID is called it denies
// permission, as an agent does without a registration entry.
func Start(t testing.TB) *WorkloadAPI {
	t.Helper()
	// Not t.TempDir(), which holds the test's name: a socket's path is short.
	dir, err := os.MkdirTemp("", "spiffe")
	if err != nil {
		t.Fatalf("directory of the socket: %v", err)
	}
	path := filepath.Join(dir, "agent.sock")
	w := &WorkloadAPI{
		Socket:    "unix://" + path,
		t:         t,
		path:      path,
		federated: make(map[string][]byte),
		responses: []*workload.X509SVIDResponse{nil},
		added:     make(chan struct{}),
	}
	t.Cleanup(func() {
		w.Stop()
		os.RemoveAll(dir)
	})
	w.Restart()
	return w
}

// Template gives a certificate that is to be issued what an X.509-SVID must
// hold: a URI name and the right to sign. Serial number, validity and DNS names
// are left to the caller.
func Template(t testing.TB, template *x509.Certificate, id string) *x509.Certificate {
	t.Helper()
	u, err := url.Parse(id)
	if err != nil {
		t.Fatalf("SPIFFE ID: %v", err)
	}
	template.URIs = []*url.URL{u}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.BasicConstraintsValid = true
	return template
}

// SetSVID delivers an identity to all that watch now and later. The leaf must
// be an X.509-SVID, such as Template makes; certPEM may hold intermediates.
func (w *WorkloadAPI) SetSVID(id string, certPEM, keyPEM, bundlePEM []byte) {
	w.t.Helper()
	svid := &workload.X509SVID{
		SpiffeId:    id,
		X509Svid:    ders(certPEM),
		X509SvidKey: ders(keyPEM),
		Bundle:      ders(bundlePEM),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(&workload.X509SVIDResponse{Svids: []*workload.X509SVID{svid}, FederatedBundles: maps.Clone(w.federated)})
}

// SetFederated puts a bundle of another trust domain, spiffe://domain, beside
// all identities that SetSVID will deliver.
func (w *WorkloadAPI) SetFederated(domain string, bundlePEM []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.federated[domain] = ders(bundlePEM)
}

// Revoke deletes the registration entry: streams end with PermissionDenied.
func (w *WorkloadAPI) Revoke() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(nil)
}

// Watches is how many streams are open.
func (w *WorkloadAPI) Watches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watches
}

func (w *WorkloadAPI) add(r *workload.X509SVIDResponse) {
	w.responses = append(w.responses, r)
	close(w.added)
	w.added = make(chan struct{})
}

// Stop closes all connections and removes the socket.
func (w *WorkloadAPI) Stop() {
	w.mu.Lock()
	server, served := w.server, w.served
	w.server = nil
	w.mu.Unlock()
	if server != nil {
		server.Stop()
		<-served
	}
}

// Restart stops, and serves again at the same socket what was set last.
func (w *WorkloadAPI) Restart() {
	w.t.Helper()
	w.Stop()
	l, err := net.Listen("unix", w.path)
	if err != nil {
		w.t.Fatalf("socket of the Workload API: %v", err)
	}
	server, served := grpc.NewServer(), make(chan struct{})
	workload.RegisterSpiffeWorkloadAPIServer(server, w)
	w.mu.Lock()
	w.server, w.served = server, served
	w.mu.Unlock()
	go func() {
		defer close(served)
		if err := server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it may be stopped before
			w.t.Errorf("Workload API: %v", err)
		}
	}()
}

// FetchX509SVID implements workload.SpiffeWorkloadAPIServer.
func (w *WorkloadAPI) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	// SPIFFE Workload Endpoint, section 3: it keeps forged requests out.
	if md, _ := metadata.FromIncomingContext(stream.Context()); !slices.Equal(md.Get("workload.spiffe.io"), []string{"true"}) {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	w.mu.Lock()
	next := len(w.responses) - 1
	w.watches++
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watches--
	}()
	for {
		w.mu.Lock()
		due, added := w.responses[next:], w.added
		w.mu.Unlock()
		next += len(due)
		for _, r := range due {
			if r == nil {
				return status.Error(codes.PermissionDenied, "no identity issued")
			}
			if err := stream.Send(r); err != nil {
				return fmt.Errorf("deliver: %w", err)
			}
		}
		select {
		case <-added:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// ders are the blocks of a PEM, one after the other, as the messages have them.
func ders(data []byte) []byte {
	var der []byte
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return der
		}
		der, data = append(der, block.Bytes...), rest
	}
}
