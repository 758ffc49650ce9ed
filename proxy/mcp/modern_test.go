package mcp

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// bridging offers every revision, whatever the servers serve.
func bridging(c *Config) { c.Versions = spec.Revisions() }

// modernClient is an SDK client that speaks the revision without sessions.
func (g *gateway) modernClient(opts *sdk.ClientOptions) *sdk.ClientSession {
	g.t.Helper()
	c := g.dial("", spec.Modern, opts)
	if v := c.InitializeResult().ProtocolVersion; v != spec.Modern {
		g.t.Fatalf("the client speaks %s", v)
	}
	return c
}

func TestModernClientOfServersWithSessions(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, bridging, a.backend("alpha"), b.backend("beta"))
	steps := make(chan float64, 10)
	var logged []any
	c := g.modernClient(&sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			steps <- r.Params.Progress
		},
		LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) { logged = append(logged, r.Params.Data) },
	})
	if got := c.InitializeResult().Instructions; got != "[alpha]\nuse alpha well\n\n[beta]\nuse beta well" {
		t.Errorf("instructions %q", got)
	}
	if got := invoke(t, c, "beta__whoami", nil); got != "beta" {
		t.Errorf("beta is %q", got)
	}
	params := &sdk.CallToolParams{Name: "alpha__steps"}
	params.SetProgressToken("a token")
	if _, err := c.CallTool(within(t), params); err != nil {
		t.Error(err)
	}
	for range 3 {
		select {
		case <-steps:
		case <-within(t).Done():
			t.Fatal("progress is missing")
		}
	}
	if got := invoke(t, c, "alpha__log", nil); got != "logged" || len(logged) != 0 {
		t.Errorf("%q, the log %v came unasked", got, logged)
	}
	res, err := c.ReadResource(within(t), &sdk.ReadResourceParams{URI: "beta+file:///a"})
	if err != nil || res.Contents[0].Text != "beta has file:///a" {
		t.Errorf("read: %v, %v", res, err)
	}
	tools, err := c.ListTools(within(t), nil)
	if err != nil || !slices.ContainsFunc(tools.Tools, func(t *sdk.Tool) bool { return t.Name == "alpha__whoami" }) {
		t.Errorf("tools: %v", err)
	}
	if _, err := c.CallTool(within(t), &sdk.CallToolParams{Name: "none"}); err == nil {
		t.Error("an unknown tool can be called")
	}
}

func TestModernClientIsAskedByServersWithSessions(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, bridging, a.backend("alpha"), newServer(t, "beta").backend("beta"))
	c := g.modernClient(&sdk.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"answer": r.Params.Message}}, nil
		},
		CreateMessageHandler: func(_ context.Context, r *sdk.CreateMessageRequest) (*sdk.CreateMessageResult, error) {
			return &sdk.CreateMessageResult{Role: "assistant", Model: "m", Content: &sdk.TextContent{Text: r.Params.IncludeContext}}, nil
		},
	})
	for i := range 20 {
		who := fmt.Sprintf("p%d", i)
		want := fmt.Sprintf("%s: accept [alpha] who is %s?", who, who)
		if got := invoke(t, c, "alpha__elicit", map[string]any{"person": who}); got != want {
			t.Errorf("elicited %q, want %q", got, want)
		}
	}
	if got := invoke(t, c, "alpha__sample", nil); got != "none" {
		t.Errorf("includeContext is %q", got)
	}
	testkit.Eventually(t, "no session to be left", func() bool { return len(g.hub.Stats()) == 0 })
}

func TestModernDisconnectCancels(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, bridging, a.backend("alpha"))
	c := g.modernClient(nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := c.CallTool(ctx, &sdk.CallToolParams{Name: "wait"})
		done <- err
	}()
	select {
	case <-a.waiting:
	case err := <-done:
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("a cancelled call has a result")
	}
	select {
	case <-a.canceled:
	case <-within(t).Done():
		t.Error("the server was not told")
	}
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func TestHeadersAndBodyOfModernRequestsMustAgree(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	call := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"whoami",` + modernMeta + `}}`
	list := `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{` + modernMeta + `}}`
	for name, test := range map[string]struct {
		body    string
		headers []string
		status  int
		code    string
	}{
		"agreement":            {call, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call", spec.HeaderName, "whoami"}, 200, ""},
		"an encoded name":      {call, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call", spec.HeaderName, "=?base64?d2hvYW1p?="}, 200, ""},
		"another name":         {call, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call", spec.HeaderName, "wait"}, 400, "-32020"},
		"a bad encoding":       {call, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call", spec.HeaderName, "=?base64?**?="}, 400, "-32020"},
		"no name":              {call, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call"}, 400, "-32020"},
		"no method":            {list, []string{spec.HeaderVersion, spec.Modern}, 400, "-32020"},
		"another method":       {list, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call"}, 400, "-32020"},
		"no version header":    {list, []string{spec.HeaderMethod, "tools/list"}, 400, "-32020"},
		"another version":      {list, []string{spec.HeaderVersion, "2026-12-01", spec.HeaderMethod, "tools/list"}, 400, "-32020"},
		"a version of its own": {strings.ReplaceAll(list, spec.Modern, "v9"), []string{spec.HeaderVersion, "v9", spec.HeaderMethod, "tools/list"}, 400, "-32022"},
		"no meta":              {`{"jsonrpc":"2.0","id":7,"method":"tools/list"}`, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list"}, 400, "-32602"},
		"no capabilities":      {strings.Replace(list, "clientCapabilities", "x", 1), []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list"}, 200, ""},
		"discovery without":    {strings.NewReplacer("clientCapabilities", "x", "tools/list", "server/discover").Replace(list), []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "server/discover"}, 400, "-32602"},
		"odd capabilities":     {strings.Replace(list, `clientCapabilities":{}`, `clientCapabilities":1`, 1), []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list"}, 400, "-32602"},
		"a removed method":     {strings.Replace(list, "tools/list", "ping", 1), []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "ping"}, 404, "-32601"},
		"ping without meta":    {`{"jsonrpc":"2.0","id":7,"method":"ping"}`, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "ping"}, 404, "-32601"},
		"unknown without meta": {`{"jsonrpc":"2.0","id":7,"method":"vendor/x"}`, []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "vendor/x"}, 404, "-32601"},
		"v-next without meta":  {`{"jsonrpc":"2.0","id":7,"method":"ping"}`, []string{spec.HeaderVersion, "2027-01-01", spec.HeaderMethod, "ping"}, 400, "-32022"},
		"no revision at all":   {`{"jsonrpc":"2.0","id":7,"method":"ping"}`, []string{spec.HeaderVersion, "latest"}, 400, "-32022"},
		"a foreign state":      {strings.Replace(call, `"name"`, `"requestState":"x","name"`, 1), []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call", spec.HeaderName, "whoami"}, 200, "-32602"},
	} {
		res, body := g.post(test.body, test.headers...)
		if res.StatusCode != test.status || !strings.Contains(body, `"id":7`) || test.code != "" && !strings.Contains(body, `"code":`+test.code) {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
		if test.code == "-32022" && !strings.Contains(body, `"supported":["2025-11-25",`) {
			t.Errorf("%s: %s does not say what is supported", name, body)
		}
	}
	if res, _ := g.do(http.MethodGet, ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", res.StatusCode)
	}
}
