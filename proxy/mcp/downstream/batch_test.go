package downstream

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

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
				batchMember{b, i}.Finish(200, []byte(`{}`))
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
	if !(batchMember{whole, 0}).Offer(200, long) || !(batchMember{whole, 1}).Offer(200, long) {
		t.Fatal("there is memory for two")
	}
	spent("two are there", 2*len(long))
	if (batchMember{whole, 2}).Offer(200, long) {
		t.Error("there is none for a third")
	}
	batchMember{whole, 2}.Finish(200, []byte(`{}`))
	if spent("it is answered", 0); len(out.last) < 2*len(long) {
		t.Errorf("it is answered by %d bytes", len(out.last))
	}

	broken := newBatch(out, members, b.Lease(memory.Answer))
	batchMember{broken, 0}.Offer(200, long)
	broken.interrupted()
	spent("it was interrupted", 0)
}
