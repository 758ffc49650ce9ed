package mcp

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestABatchIsAnsweredByOneArray(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Limits.Pending = 8 }, a.backend("alpha"))
	res, _ := g.post(initOf(spec.Batches))
	id := res.Header.Get(spec.HeaderSession)
	for _, c := range []struct {
		name, accept, body string
		status             int
		want               []string
	}{
		{"two calls and a notification", "application/json",
			`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":"1","method":"ping"}]`,
			200, []string{`{"jsonrpc":"2.0","id":1,"result":{"content"`, `},{"jsonrpc":"2.0","id":"1","result":{}}]`}},
		{"notifications alone", "*/*", `[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":9,"result":{}}]`, 202, nil},
		{"invalid members", "application/json", `[1,{"jsonrpc":"2.0","id":2,"method":"ping"},{"foo":1},[]]`, 200,
			[]string{`[{"jsonrpc":"2.0","id":null,"error":{"code":-32600`, `{"jsonrpc":"2.0","id":2,"result":{}}`}},
		{"nothing but invalid members", "application/json", `[1,2]`, 400, []string{`[{"jsonrpc":"2.0","id":null,"error":{"code":-32600`}},
		{"initialize", "application/json", `[` + initBody + `,{"jsonrpc":"2.0","id":2,"method":"ping"}]`, 200, []string{`[{"jsonrpc":"2.0","id":0,"error":{"code":-32600`, `"id":2,"result":{}`}},
		{"empty", "application/json", `[]`, 400, []string{`{"jsonrpc":"2.0","id":null,"error":{"code":-32600`}},
		{"too many", "application/json", `[` + strings.Repeat(`{"jsonrpc":"2.0","id":2,"method":"ping"},`, 8) + `1]`, 400, []string{`-32600`, `too many`}},
		{"no JSON", "application/json", `[{"jsonrpc":"2.0"`, 400, []string{`-32700`}},
		{"by stream", "text/event-stream", `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"steps","_meta":{"progressToken":5}}},{"jsonrpc":"2.0","id":2,"method":"ping"}]`,
			200, []string{`"progressToken":5`, `data: [{"jsonrpc":"2.0","id":1`, `,{"jsonrpc":"2.0","id":2,"result":{}}]`}},
	} {
		res, body := g.post(c.body, spec.HeaderSession, id, "Accept", c.accept)
		if res.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
		}
		if c.status == http.StatusAccepted && body != "" {
			t.Errorf("%s: %s", c.name, body)
		}
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %s, want %s", c.name, body, want)
			}
		}
		if c.accept == "application/json" && !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", c.name, body)
		}
	}
}

func TestBatchesAreOfOneRevision(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	const batch = `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`
	for _, version := range []string{"2025-06-18", "2025-11-25"} {
		res, _ := g.post(initOf(version))
		if res, body := g.post(batch, spec.HeaderSession, res.Header.Get(spec.HeaderSession)); res.StatusCode != 400 || !strings.Contains(body, "-32600") {
			t.Errorf("%s: %d %s", version, res.StatusCode, body)
		}
	}
	if res, body := g.post(batch); res.StatusCode != 400 || !strings.Contains(body, "-32600") {
		t.Errorf("without a session: %d %s", res.StatusCode, body)
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte(`[{"jsonrpc":"2.0","id":1,"method":"ping"},1,{"jsonrpc":"2.0","method":"x"}]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		members, err := parseBatch(body, 16)
		if err != nil {
			if code := parseCode(err); code != -32600 && code != -32700 {
				t.Errorf("%d", code)
			}
			return
		}
		if len(members) == 0 || len(members) > 16 {
			t.Fatalf("%d members", len(members))
		}
		out := new(answers)
		b := newBatch(out, members, memory.Lease{})
		owed := b.left
		for i, m := range members {
			if m.answered() {
				b.member(i).Finish(200, []byte(`{}`))
			}
		}
		if owed == 0 != (out.last == nil) || owed > 0 && !json.Valid(out.last) {
			t.Errorf("%d are owed, the answer is %s", owed, out.last)
		}
	})
}

// answers is an outlet that keeps the answer.
type answers struct{ last []byte }

func (a *answers) Open() bool                      { return true }
func (a *answers) Send([]byte) bool                { return true }
func (a *answers) Finish(_ int, answer []byte)     { a.last = answer }
func (a *answers) Offer(_ int, answer []byte) bool { a.last = answer; return true }

func TestABatchIsChargedUntilItIsAnswered(t *testing.T) {
	members := make([]member, 3)
	for i := range members {
		members[i].refusal = []byte(`{}`)
	}
	long := []byte(strings.Repeat("x", 400<<10))
	b := memory.New(nil)
	b.SetLimit(1 << 20)
	spent := func(what string, want int) {
		t.Helper()
		if got := int(b.Stats().Charged[memory.Answer]); got < want || got > want+32<<10 {
			t.Errorf("%s: %d bytes are charged, want %d", what, got, want)
		}
	}
	out := new(answers)
	whole := newBatch(out, members, b.Lease(memory.Answer))
	if !whole.member(0).Offer(200, long) || !whole.member(1).Offer(200, long) {
		t.Fatal("there is memory for two")
	}
	spent("two are there", 2*len(long))
	if whole.member(2).Offer(200, long) {
		t.Error("there is none for a third")
	}
	whole.member(2).Finish(200, []byte(`{}`))
	if spent("it is answered", 0); len(out.last) < 2*len(long) {
		t.Errorf("it is answered by %d bytes", len(out.last))
	}

	broken := newBatch(out, members, b.Lease(memory.Answer))
	broken.member(0).Offer(200, long)
	broken.interrupted()
	spent("it was interrupted", 0)
}
