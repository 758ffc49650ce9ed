package harness

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

// Opened is one of each thing that stays open for long: an SSE stream, a
// WebSocket, a slow upload, a long POST. Finish shows that each went on and
// ended by itself.
type Opened struct {
	t        testing.TB
	api      *PlainAPI
	Name     string // of the gates at the upstream
	events   *bufio.Scanner
	socket   *websocket.Conn
	upload   *io.PipeWriter
	uploaded chan Result
	Posted   chan Result
}

// ErrNoAnswer is the error of a request that is unanswered after 20 seconds.
var ErrNoAnswer = errors.New("no answer")

// Result is what a request came to.
type Result struct {
	Body string
	Err  error
}

// Open starts them at base, an https URL of routes to api. HTTP/2 has no
// WebSocket here: RFC 8441 is not offered.
func Open(t testing.TB, api *PlainAPI, base, protocol string, c *http.Client) *Opened {
	t.Helper()
	o := &Opened{t: t, api: api, Name: t.Name() + protocol + fmt.Sprint(time.Now().UnixNano()), uploaded: make(chan Result, 1), Posted: make(chan Result, 1)}
	q := "?name=" + strings.NewReplacer("/", "-", " ", "-").Replace(o.Name)
	o.Name = strings.TrimPrefix(q, "?name=")

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
	go o.post(c, base+"/slow"+q, strings.NewReader("work"), o.Posted)
	for _, what := range []string{"upload ", "slow "} {
		select {
		case <-api.gate(what + o.Name):
		case r := <-o.Posted:
			t.Fatalf("the long POST was answered: %+v", r)
		case <-time.After(20 * time.Second):
			t.Fatalf("%sdid not reach the upstream", what)
		}
	}
	return o
}

func (o *Opened) post(c *http.Client, url string, body io.Reader, done chan<- Result) {
	resp, err := c.Post(url, "text/plain", body)
	if err != nil {
		done <- Result{Err: err}
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	done <- Result{Body: string(b), Err: err}
}

func (o *Opened) expectEvent(want string) {
	o.t.Helper()
	for o.events.Scan() {
		if l := o.events.Text(); l == want {
			return
		}
	}
	o.t.Fatalf("the SSE stream ended before %q: %v", want, o.events.Err())
}

func (o *Opened) expectEcho(text string) {
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

// Finish lets each of them end and checks that it did so whole.
func (o *Opened) Finish() {
	o.t.Helper()
	o.api.Release(o.Name)
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
	if r := o.Wait(o.uploaded); r.Err != nil || r.Body != "7 bytes" {
		o.t.Errorf("the slow upload: %q, %v", r.Body, r.Err)
	}
	if r := o.Wait(o.Posted); r.Err != nil || r.Body != "done with work" {
		o.t.Errorf("the long POST: %q, %v", r.Body, r.Err)
	}
}

// ExpectEnd checks that the other side ends the stream, although no test has let it.
func (o *Opened) ExpectEnd() {
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
		o.t.Errorf("the stream of %s goes on", o.Name)
	}
}

// Leave gives up what is left.
func (o *Opened) Leave() {
	o.upload.CloseWithError(errors.New("the test has left"))
	o.api.Release(o.Name)
}

// Wait waits for the result of a request, such as Posted.
func (o *Opened) Wait(done <-chan Result) Result {
	select {
	case r := <-done:
		return r
	case <-time.After(20 * time.Second):
		return Result{Err: ErrNoAnswer}
	}
}
