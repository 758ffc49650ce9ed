package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// opened is one of each thing that stays open for long: an SSE stream, a
// WebSocket, a slow upload, a long POST. finish shows that each went on and
// ended by itself.
type opened struct {
	t        testing.TB
	api      *plainAPI
	name     string
	events   *bufio.Scanner
	socket   *websocket.Conn
	upload   *io.PipeWriter
	uploaded chan result
	posted   chan result
}

var errNoAnswer = errors.New("no answer")

type result struct {
	body string
	err  error
}

// open starts them at base, an https URL of routes to api. HTTP/2 has no
// WebSocket here: RFC 8441 is not offered.
func open(t testing.TB, api *plainAPI, base, protocol string, c *http.Client) *opened {
	t.Helper()
	o := &opened{t: t, api: api, name: t.Name() + protocol + fmt.Sprint(time.Now().UnixNano()), uploaded: make(chan result, 1), posted: make(chan result, 1)}
	q := "?name=" + strings.NewReplacer("/", "-", " ", "-").Replace(o.name)
	o.name = strings.TrimPrefix(q, "?name=")

	resp, err := c.Get(base + "/events" + q)
	if err != nil {
		t.Fatalf("SSE: %v", err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	o.events = bufio.NewScanner(resp.Body)
	o.expectEvent("data: first")

	if protocol == "http/1.1" {
		o.socket, _, err = websocket.Dial(context.Background(), "wss"+strings.TrimPrefix(base, "https")+"/ws", &websocket.DialOptions{HTTPClient: c})
		if err != nil {
			t.Fatalf("WebSocket: %v", err)
		}
		t.Cleanup(func() { o.socket.CloseNow() })
		o.expectEcho("hello")
	}

	var body *io.PipeReader
	body, o.upload = io.Pipe()
	go o.post(c, base+"/upload"+q, body, o.uploaded)
	if _, err := io.WriteString(o.upload, "one "); err != nil {
		t.Fatal(err)
	}
	go o.post(c, base+"/slow"+q, strings.NewReader("work"), o.posted)
	for _, what := range []string{"upload ", "slow "} {
		select {
		case <-api.gate(what + o.name):
		case r := <-o.posted:
			t.Fatalf("the long POST was answered: %+v", r)
		case <-time.After(20 * time.Second):
			t.Fatalf("%sdid not reach the upstream", what)
		}
	}
	return o
}

func (o *opened) post(c *http.Client, url string, body io.Reader, done chan<- result) {
	resp, err := c.Post(url, "text/plain", body)
	if err != nil {
		done <- result{err: err}
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	done <- result{body: string(b), err: err}
}

func (o *opened) expectEvent(want string) {
	o.t.Helper()
	for o.events.Scan() {
		if l := o.events.Text(); l == want {
			return
		}
	}
	o.t.Fatalf("the SSE stream ended before %q: %v", want, o.events.Err())
}

func (o *opened) expectEcho(text string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := o.socket.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		o.t.Fatalf("WebSocket: %v", err)
	}
	if _, got, err := o.socket.Read(ctx); err != nil || string(got) != text {
		o.t.Fatalf("WebSocket: %q, %v", got, err)
	}
}

// finish lets each of them end and checks that it did so whole.
func (o *opened) finish() {
	o.t.Helper()
	o.api.release(o.name)
	o.expectEvent("data: last")
	for o.events.Scan() {
		if o.events.Text() != "" {
			o.t.Errorf("the SSE stream went on with %q", o.events.Text())
		}
	}
	if err := o.events.Err(); err != nil {
		o.t.Errorf("the SSE stream did not end cleanly: %v", err)
	}
	if o.socket != nil {
		o.expectEcho("still here")
		if err := o.socket.Close(websocket.StatusNormalClosure, ""); err != nil {
			o.t.Errorf("closing the WebSocket: %v", err)
		}
	}
	io.WriteString(o.upload, "two")
	o.upload.Close()
	if r := o.wait(o.uploaded); r.err != nil || r.body != "7 bytes" {
		o.t.Errorf("the slow upload: %q, %v", r.body, r.err)
	}
	if r := o.wait(o.posted); r.err != nil || r.body != "done with work" {
		o.t.Errorf("the long POST: %q, %v", r.body, r.err)
	}
}

// ends checks that the other side ends the stream, although no test has let it.
func (o *opened) ends() {
	o.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for o.events.Scan() {
		}
	}()
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		o.t.Errorf("the stream of %s goes on", o.name)
	}
}

// leave gives up what is left.
func (o *opened) leave() {
	o.upload.CloseWithError(errors.New("the test has left"))
	o.api.release(o.name)
}

func (o *opened) wait(done <-chan result) result {
	select {
	case r := <-done:
		return r
	case <-time.After(20 * time.Second):
		return result{err: errNoAnswer}
	}
}
