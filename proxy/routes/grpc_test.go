package routes

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// bytesCodec has messages be plain bytes.
type bytesCodec struct{}

func (bytesCodec) Name() string                  { return "bytes" }
func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}

// grpcEcho is a gRPC server whose every method sends back what it gets.
func grpcEcho(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		if strings.HasSuffix(method, "/Refuse") {
			return status.Error(codes.PermissionDenied, "not you")
		}
		md, _ := metadata.FromIncomingContext(stream.Context())
		stream.SetTrailer(metadata.Pairs("x-sum", strings.Join(append(md.Get("x-in"), md.Get("x_in")...), "")))
		for {
			var m []byte
			if err := stream.RecvMsg(&m); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(&m); err != nil {
				return err
			}
		}
	}))
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return "http://" + l.Addr().String()
}

func TestGRPCPasses(t *testing.T) {
	g := start(t, "routes: [{match: {path_prefix: /}, cluster: up, timeout: 1s}]\nclusters: [{name: up, endpoints: ['%s'], protocols: [h2]}]", grpcEcho(t))
	conn, err := grpc.NewClient("passthrough:///"+g.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(testContext(t), "x-in", "4", "x_in", "2")

	in, out := []byte("unary"), []byte(nil)
	var trailer metadata.MD
	if err := conn.Invoke(ctx, "/test.Echo/Unary", &in, &out, grpc.Trailer(&trailer)); err != nil || string(out) != "unary" || trailer.Get("x-sum")[0] != "42" {
		t.Errorf("unary: %q, %v, trailer %v", out, err, trailer)
	}
	if err := conn.Invoke(ctx, "/test.Echo/Refuse", &in, &out); status.Code(err) != codes.PermissionDenied || status.Convert(err).Message() != "not you" {
		t.Errorf("a status without body: %v", err)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test.Echo/Stream")
	if err != nil {
		t.Fatal(err)
	}
	pause := time.NewTimer(1200 * time.Millisecond) // longer than timeout, which is not for streams
	defer pause.Stop()
	for i := range 5 {
		if i == 3 {
			<-pause.C
		}
		if err := stream.SendMsg(&in); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if err := stream.RecvMsg(&out); err != nil || string(out) != "unary" {
			t.Fatalf("message %d: %q, %v", i, out, err)
		}
	}
	stream.CloseSend()
	if err := stream.RecvMsg(&out); err != io.EOF || stream.Trailer().Get("x-sum")[0] != "42" {
		t.Errorf("the end: %v, trailer %v", err, stream.Trailer())
	}
}
