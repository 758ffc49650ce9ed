package mcp

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestDrainEndsStreamsAfterAWholeEvent(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	cfg := listeners.Config{Name: "public", Address: "127.0.0.1:0"}
	if err := config.Defaults(&cfg); err != nil {
		t.Fatal(err)
	}
	sockets := listeners.NewSockets(nil)
	socket, err := sockets.Bind(cfg.Address)
	if err != nil {
		t.Fatal(err)
	}
	server := listeners.NewServer(&cfg, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.current.Load().ServeHTTP(w, r)
	}), nil)
	socket.Serve(server)
	t.Cleanup(func() {
		sockets.Close()
		server.Close()
		<-server.Done()
	})
	url := "http://" + socket.Addr().String() + "/mcp"
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	id := g.initialize()
	open := func(method, accept, body string) (*http.Response, error) {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", accept)
		req.Header.Set(spec.HeaderSession, id)
		return client.Do(req)
	}
	stream, err := open("GET", "text/event-stream", "")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	answers := make(chan string, 1)
	go func() {
		res, err := open("POST", "application/json", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answers <- string(b)
	}()
	<-a.waiting
	if n := server.Stats().Streams; n != 1 {
		t.Errorf("%d streams", n)
	}
	server.Drain(listeners.DrainOptions{Timeout: 20 * time.Millisecond})
	if b, err := io.ReadAll(stream.Body); err != nil || strings.Contains(string(b), "data: {") {
		t.Errorf("the stream ends with %q, %v", b, err)
	}
	if answer := <-answers; !strings.Contains(answer, `"id":1`) || !strings.Contains(answer, "downstream_connection_termination") {
		t.Errorf("the call ends with %s", answer)
	}
	select {
	case <-a.canceled:
		t.Error("the call was cancelled")
	default:
	}
	// The session works on over another connection.
	if res, body := g.post(listBody, spec.HeaderSession, id); res.StatusCode != 200 || !strings.Contains(body, "whoami") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}
