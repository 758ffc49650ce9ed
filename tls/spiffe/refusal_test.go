package spiffe_test

import (
	"net"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
)

// refusing is an agent that first ends one stream with each of the errors.
type refusing struct {
	*spiffetest.WorkloadAPI
	errors chan error
}

func (r *refusing) FetchX509SVID(req *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	select {
	case err := <-r.errors:
		return err
	default:
		return r.WorkloadAPI.FetchX509SVID(req, stream)
	}
}

// listen serves the agent on TCP.
func (r *refusing) listen(t *testing.T) (socket string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return "tcp://" + l.Addr().String()
}

func TestEndedStreamIsBegunAgain(t *testing.T) {
	for name, reason := range map[string]error{"cancelled": status.Error(codes.Canceled, "going down"), "ended": nil} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			first := issue(t, f.ca, gatewayID)
			set(f.agent, first)
			agent := &refusing{f.agent, make(chan error, 1)}
			agent.errors <- reason
			m, err := f.Get(patiently(t), agent.listen(t))
			if err != nil {
				t.Fatal(err)
			}
			first.check(t, m)
			if err := await(t, f.failed, "the failure"); !strings.Contains(err.Error(), "the agent ended the stream") {
				t.Errorf("failed with %q", err)
			}
		})
	}
}

// SPIFFE Workload Endpoint, section 6: InvalidArgument is not recoverable, and
// not to be retried. A caller that asks again is no retry.
func TestInvalidArgumentEndsTheWatchUntilTheNextGet(t *testing.T) {
	f := newFixture(t)
	first := issue(t, f.ca, gatewayID)
	set(f.agent, first)
	agent := &refusing{f.agent, make(chan error, 1)}
	agent.errors <- status.Error(codes.InvalidArgument, "who are you?")
	socket := agent.listen(t)
	if _, err := f.Get(patiently(t), socket); err == nil || !strings.Contains(err.Error(), "who are you?") {
		t.Errorf("error is %v, want the agent's reason", err)
	}
	m, err := f.Get(patiently(t), socket)
	if err != nil {
		t.Fatal(err)
	}
	first.check(t, m)
}
