package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// newStateless returns a server of the revision without sessions.
func newStateless(t testing.TB, name string) *server {
	s := newServer(t, name)
	var h http.Handler = sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s.Server },
		&sdk.StreamableHTTPOptions{Stateless: true})
	s.handler.Store(&h)
	type person struct {
		Person string `json:"person"`
	}
	sdk.AddTool(s.Server, &sdk.Tool{Name: "inquire"}, func(ctx context.Context, r *sdk.CallToolRequest, in person) (*sdk.CallToolResult, any, error) {
		if len(r.Params.InputResponses) == 0 {
			return &sdk.CallToolResult{
				InputRequests: sdk.InputRequestMap{"who": &sdk.ElicitParams{Message: "who is " + in.Person + "?"}},
				RequestState:  "state of " + in.Person,
			}, nil, nil
		}
		answer := r.Params.InputResponses["who"].(*sdk.ElicitResult)
		text := fmt.Sprintf("%s: %s %v (%s)", in.Person, answer.Action, answer.Content["answer"], r.Params.RequestState)
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}, nil, nil
	})
	return s
}

func answering() *sdk.ClientOptions {
	return &sdk.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"answer": r.Params.Message}}, nil
		},
	}
}

func TestServersWithoutSessionsForClientsOfBothEras(t *testing.T) {
	for _, version := range []string{spec.Modern, spec.NewestLegacy, "2025-06-18", spec.Assumed} {
		t.Run(version, func(t *testing.T) {
			g := newGateway(t, bridging, newStateless(t, "alpha").backend("alpha"), newServer(t, "beta").backend("beta"))
			c := g.dial("", version, answering())
			if got := c.InitializeResult().ProtocolVersion; got != version {
				t.Fatalf("the client speaks %s", got)
			}
			tools, err := c.ListTools(within(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"alpha__whoami", "beta__whoami", "alpha__inquire"} {
				if !slices.ContainsFunc(tools.Tools, func(t *sdk.Tool) bool { return t.Name == name }) {
					t.Errorf("%s is not listed", name)
				}
			}
			if a, b := invoke(t, c, "alpha__whoami", nil), invoke(t, c, "beta__whoami", nil); a != "alpha" || b != "beta" {
				t.Errorf("alpha is %q, beta %q", a, b)
			}
			if got := invoke(t, c, "beta__elicit", map[string]any{"person": "x"}); got != "x: accept [beta] who is x?" {
				t.Errorf("elicited %q", got)
			}
		})
	}
}

func TestInputRequiredByServersWithoutSessions(t *testing.T) {
	for _, version := range []string{spec.Modern, spec.NewestLegacy} {
		t.Run(version, func(t *testing.T) {
			s := newStateless(t, "alpha")
			b := s.backend("alpha")
			b.protocol = spec.Modern
			g := newGateway(t, bridging, b, newServer(t, "beta").backend("beta"))
			c := g.dial("", version, answering())
			if got := invoke(t, c, "alpha__inquire", map[string]any{"person": "x"}); got != "x: accept [alpha] who is x? (state of x)" {
				t.Errorf("elicited %q", got)
			}
		})
	}
}

func TestMissingResourceHasTheCodeOfTheClientsRevision(t *testing.T) {
	modernServer := newStateless(t, "alpha").backend("alpha")
	modernServer.protocol = spec.Modern
	g := newGateway(t, bridging, modernServer, newServer(t, "beta").backend("beta"))
	for _, test := range []struct {
		version, uri string
		want         int64
	}{
		{spec.NewestLegacy, "alpha+file:///none", -32002},
		{spec.Modern, "alpha+file:///none", jsonrpc.CodeInvalidParams},
		{spec.Modern, "beta+file:///none", jsonrpc.CodeInvalidParams},
	} {
		_, err := g.dial("", test.version, nil).ReadResource(within(t), &sdk.ReadResourceParams{URI: test.uri})
		var e *jsonrpc.Error
		if !errors.As(err, &e) || e.Code != test.want {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
