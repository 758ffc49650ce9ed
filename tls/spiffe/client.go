package spiffe

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// dial makes the client of one Workload API. It does not wait for a connection.
func dial(ctx context.Context, address string) (*workloadapi.Client, error) {
	connect := backoff.DefaultConfig
	// Between two tries of go-spiffe, which has a back-off of its own, gRPC's
	// would only keep the second from finding the agent that has come back.
	connect.MaxDelay = time.Second
	return workloadapi.New(ctx, workloadapi.WithAddr(address), workloadapi.WithDialOptions(
		grpc.WithNoProxy(), // the agent knows us by the connection: it must be ours
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: connect, MinConnectTimeout: 20 * time.Second}),
		grpc.WithChainStreamInterceptor(intercept),
	))
}

func intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, err
	}
	return &ownDomainStream{ClientStream: stream, caller: ctx}, nil
}

// ownDomainStream reduces each response to its default SVID and the bundle that
// belongs to it. go-spiffe keeps one bundle a trust domain, the last that it
// reads: a federated one under our own name would replace ours. It also refuses
// the whole response for one bundle that does not parse, and the
// bundle of another domain must not keep our certificate from being renewed.
type ownDomainStream struct {
	grpc.ClientStream
	caller context.Context
}

func (s *ownDomainStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		if r, ok := m.(*workload.X509SVIDResponse); ok {
			r.FederatedBundles = nil
			r.Svids = r.Svids[:min(1, len(r.Svids))]
		}
		return nil
	}
	if s.caller.Err() == nil && (errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled) {
		// An agent that is about to end says so. go-spiffe would take Canceled
		// for our own doing and stop watching for good.
		return status.Errorf(codes.Unavailable, "the agent ended the stream: %v", err)
	}
	return err
}
