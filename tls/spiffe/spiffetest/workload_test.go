package spiffetest_test

import (
	"testing"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
)

func TestSecurityHeaderIsDemanded(t *testing.T) {
	conn, err := grpc.NewClient(spiffetest.Start(t).Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for value, want := range map[string]codes.Code{"": codes.InvalidArgument, "True": codes.InvalidArgument, "true": codes.PermissionDenied} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "workload.spiffe.io", value)
		stream, err := workload.NewSpiffeWorkloadAPIClient(conn).FetchX509SVID(ctx, &workload.X509SVIDRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != want {
			t.Errorf("header %q: %v, want %v", value, err, want)
		}
	}
}
