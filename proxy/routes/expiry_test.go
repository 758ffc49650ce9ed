package routes

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
)

// guarded is a gateway in front of h that wants a token. It is opened with a
// token that soon expires, and with others that last longer where the machine is
// so slow that it is refused.
func guarded(t *testing.T, h http.HandlerFunc, open func(g *gateway, authorization string) (status int)) *gateway {
	t.Helper()
	key := strings.Repeat("s", 32)
	g := proxied(t, h, "auth: {jwt: {leeway: 0s, hmac_secret_files: ['"+writeFile(t, t.TempDir(), "secret", key)+"']}}")
	for life := 2 * time.Second; ; life *= 2 {
		claims := jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(life).Unix()}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if status := open(g, "Bearer "+token); status != http.StatusUnauthorized {
			return g
		}
		g.entry()
		if life > time.Minute {
			t.Fatal("a token that is valid is refused")
		}
	}
}

func TestEventsEndWithTheTokenThatOpenedThem(t *testing.T) {
	const event = "data: 1\n\n"
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		parts := make(chan string)
		var resp *http.Response
		g := guarded(t, events(parts), func(g *gateway, authorization string) int {
			client := g.client
			if proto == "HTTP/2" {
				client = h2c(t)
			}
			r, err := http.NewRequestWithContext(testContext(t), http.MethodGet, g.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", authorization)
			if resp, err = client.Do(r); err != nil {
				t.Fatalf("%s: %v", proto, err)
			}
			if resp.StatusCode != http.StatusOK {
				resp.Body.Close()
			}
			return resp.StatusCode
		})
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", proto, resp.Status)
		}
		parts <- event
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != event {
			t.Errorf("%s: the stream ended as %q, %v", proto, b, err)
		}
		resp.Body.Close()
		if e := g.entry(); e.Flag != "unauthorized" {
			t.Errorf("%s: flag %q, %s", proto, e.Flag, e.Reason)
		}
	}
}

func TestAWebSocketIsClosedWith1008WhenItsTokenExpires(t *testing.T) {
	ended := make(chan error, 1)
	var c *websocket.Conn
	g := guarded(t, echoSocket(t, ended), func(g *gateway, authorization string) int {
		conn, resp, err := websocket.Dial(testContext(t), "ws://"+g.addr+"/ws", &websocket.DialOptions{
			Subprotocols: []string{"echo"}, HTTPHeader: http.Header{"Authorization": {authorization}},
		})
		if err != nil && (resp == nil || resp.StatusCode != http.StatusUnauthorized) {
			t.Fatal(err)
		}
		c = conn
		return resp.StatusCode
	})
	defer c.CloseNow()
	if err := c.Write(testContext(t), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(testContext(t)); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the client saw %v", err)
	}
	if err := <-ended; websocket.CloseStatus(err) == -1 {
		t.Errorf("the server saw %v", err)
	}
	if e := g.entry(); e.Flag != "unauthorized" {
		t.Errorf("flag %q", e.Flag)
	}
}
