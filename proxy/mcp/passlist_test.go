package mcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

func TestACircleOfCursorsEnds(t *testing.T) {
	for before := range 5 {
		for circle := 1; circle <= 100; circle++ {
			var walked trail
			steps := 0
			for ; steps < 1000; steps++ {
				next, repeats := walked.step(fmt.Sprint(min(steps, before) + max(0, steps-before)%circle))
				if repeats {
					break
				}
				walked = next
			}
			if exact := before + circle; circle <= trailRecent && steps != exact || steps > 4*exact {
				t.Errorf("a circle of %d after %d ends after %d", circle, before, steps)
			}
		}
	}
	var walked trail
	for i := range 10000 {
		next, repeats := walked.step(fmt.Sprint(i))
		if repeats {
			t.Fatalf("a list without a circle ends after %d", i)
		}
		walked = next
	}
}

func TestAListOfOneClusterHasItsTime(t *testing.T) {
	hang := make(chan struct{})
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		if m.Method() == toolsList {
			<-hang
		}
	}, nil)
	t.Cleanup(func() { close(hang) })
	g := newGateway(t, func(c *Config) { c.Timeouts.List = time.Second }, backend{name: "raw", endpoints: []string{url}})
	for what, headers := range map[string][]string{"session": {sessionHeader, g.initialize()}, "without": nil} {
		if _, body := g.post(listBody, headers...); !strings.Contains(body, "the server did not answer in time") {
			t.Errorf("%s: %s", what, body)
		}
	}
}
