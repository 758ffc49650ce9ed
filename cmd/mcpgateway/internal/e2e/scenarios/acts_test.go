package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

func (s *scene) calls() {
	if got, want := s.call("say", order{Text: "grüß dich 👋"}), s.server+": grüß dich 👋"; got != want {
		s.Errorf("say: %q, want %q", got, want)
	}
}

func (s *scene) pings() {
	err := s.Ping(s.within(), nil)
	// 2026-07-28 has none, but the gateway's stdio side answers it by itself.
	if errors.Is(err, context.DeadlineExceeded) || !s.modern && err != nil {
		s.Errorf("ping: %v", err)
	}
}

func (s *scene) logging() {
	messages := func(levels ...string) (want []string) {
		for _, level := range levels {
			want = append(want, level+" "+s.server+" of "+levels[0])
		}
		return want
	}
	for lowest, levels := range map[mcp.LoggingLevel][]string{"warning": {"warning", "error"}, "debug": {"debug", "info", "warning", "error"}} {
		params := &mcp.CallToolParams{Name: s.tool("log"), Arguments: order{Text: "of " + levels[0]}}
		if s.modern { // each request says what it wants
			params.Meta = mcp.Meta{"io.modelcontextprotocol/logLevel": string(lowest)}
		} else if err := s.SetLoggingLevel(s.within(), &mcp.SetLoggingLevelParams{Level: lowest}); err != nil {
			s.Fatalf("logging/setLevel: %v", err)
		}
		if _, err := s.CallTool(s.within(), params); err != nil {
			s.Fatalf("log: %v", err)
		}
		if !s.late() || !s.modern {
			s.expect(s.logs, messages(levels...)...)
		}
	}
}

func (s *scene) countdown() {
	for _, token := range []any{"token", 7} {
		params := &mcp.CallToolParams{Name: s.tool("countdown"), Arguments: order{From: 5}}
		params.SetProgressToken(token)
		res, err := s.CallTool(s.within(), params)
		if err != nil || textOf(res) != "lift off" {
			s.Fatalf("countdown: %v %v", res, err)
		}
		kind := map[any]string{"token": "string", 7: "float64"}[token]
		for n := range 6 {
			if s.late() {
				break
			}
			s.expect(s.progress, fmt.Sprintf("%s %v: %d of 5, %d left", kind, token, n, 5-n))
		}
	}
}

func (s *scene) questions() {
	if got := s.call("elicit", order{Text: "who is it?"}); got != "accept Ann" {
		s.Errorf("elicit: %s", got)
	}
	s.expect(s.asked, s.head()+"who is it?")
	token := s.Name()
	if got := s.call("sample", order{Text: token}); got != "poet: a rose" {
		s.Errorf("sample: %s", got)
	}
	shared := "thisServer"
	if s.many {
		shared = "none"
	}
	s.expect(s.asked, shared+" "+s.head()+token)
	if !s.modern && s.by == "streamable" { // elsewhere the answer may overtake it
		s.told("progress " + token + " thinking")
	}
}

func (s *scene) roots() {
	if got := s.call("roots", order{}); got != "file:///home" {
		s.Errorf("roots: %s", got)
	}
	if s.modern {
		return // such a server asks in a call, and is told of no change
	}
	root := "file:///of/" + strings.ReplaceAll(s.Name(), "/", "-")
	s.client.AddRoots(&mcp.Root{URI: root})
	s.told("roots file:///home " + root)
	s.client.RemoveRoots(root)
	s.told("roots file:///home")
	if got := s.call("roots", order{}); got != "file:///home" {
		s.Errorf("roots: %s", got)
	}
}

func (s *scene) prompts() {
	res, err := s.ListPrompts(s.within(), nil)
	if err != nil {
		s.Fatal(err)
	}
	i := slices.IndexFunc(res.Prompts, func(p *mcp.Prompt) bool { return p.Name == s.tool("review") })
	if i < 0 || res.Prompts[i].Description != "reviews code" || len(res.Prompts[i].Arguments) != 1 || !res.Prompts[i].Arguments[0].Required {
		s.Errorf("prompts: %+v", res.Prompts)
	}
	p, err := s.GetPrompt(s.within(), &mcp.GetPromptParams{Name: s.tool("review"), Arguments: map[string]string{"code": "1+1"}})
	if err != nil {
		s.Fatal(err)
	}
	if got := p.Messages[0].Content.(*mcp.TextContent).Text; p.Description != s.server || got != "review 1+1" {
		s.Errorf("the prompt: %s %s", p.Description, got)
	}
}

// reads reads a resource of the server.
func (s *scene) reads(uri string) {
	s.Helper()
	res, err := s.ReadResource(s.within(), &mcp.ReadResourceParams{URI: s.uri(uri)})
	if err != nil {
		s.Errorf("reading %s: %v", s.uri(uri), err)
		return
	}
	first, second := res.Contents[0], res.Contents[1]
	if first.URI != s.uri(uri) || first.MIMEType != "text/plain" || first.Text != s.server+" has "+uri || second.URI != s.uri(uri)+"#blob" || !slices.Equal(second.Blob, []byte{0, 1, 255}) {
		s.Errorf("reading %s: %+v %+v", s.uri(uri), first, second)
	}
}

func (s *scene) resources() {
	res, err := s.ListResources(s.within(), nil)
	if err != nil {
		s.Fatal(err)
	}
	for _, uri := range []string{"file:///a", "file:///b", "ui://app/panel"} {
		if !slices.ContainsFunc(res.Resources, func(r *mcp.Resource) bool { return r.URI == s.uri(uri) && r.MIMEType == "text/plain" }) {
			s.Errorf("%s is missing", s.uri(uri))
		}
		s.reads(uri)
	}
	templates, err := s.ListResourceTemplates(s.within(), nil)
	if err != nil {
		s.Fatal(err)
	}
	if !slices.ContainsFunc(templates.ResourceTemplates, func(r *mcp.ResourceTemplate) bool { return r.URITemplate == s.uri("results://{id}") }) {
		s.Errorf("the templates: %+v", templates.ResourceTemplates)
	}
	s.reads("results://23")
}

func (s *scene) completion() {
	for _, test := range []struct {
		ref  mcp.CompleteReference
		want string
	}{
		{mcp.CompleteReference{Type: "ref/prompt", Name: s.tool("review")}, "ref/prompt review"},
		{mcp.CompleteReference{Type: "ref/resource", URI: s.uri("results://{id}")}, "ref/resource results://{id}"},
	} {
		res, err := s.Complete(s.within(), &mcp.CompleteParams{
			Ref: &test.ref, Argument: mcp.CompleteParamsArgument{Name: "id", Value: "2"},
			Context: &mcp.CompleteContext{Arguments: map[string]string{"language": "go"}},
		})
		if err != nil {
			s.Errorf("completing %s: %v", test.want, err)
			continue
		}
		if c := res.Completion; !slices.Equal(c.Values, []string{s.server + " " + test.want + " id=2", "language=go"}) || c.Total != 9 || !c.HasMore {
			s.Errorf("completing %s: %+v", test.want, c)
		}
	}
}

// links follows the URIs in a result, as a client does.
func (s *scene) links() {
	res, err := s.CallTool(s.within(), &mcp.CallToolParams{Name: s.tool("link"), Arguments: order{}})
	if err != nil {
		s.Fatal(err)
	}
	ui, _ := res.Meta["ui"].(map[string]any)
	got := []any{res.Content[0].(*mcp.ResourceLink).URI, res.Content[1].(*mcp.EmbeddedResource).Resource.URI, ui["resourceUri"]}
	for i, uri := range []string{"file:///a", "file:///b", "ui://app/panel"} {
		if got[i] != s.uri(uri) {
			s.Errorf("the result names %v, want %s", got[i], s.uri(uri))
		}
		s.reads(uri)
	}
}

func (s *scene) errors() {
	for _, test := range []struct {
		tool string
		in   any
		want string
	}{
		{"fail", order{Text: "fly"}, s.server + " cannot fly"},
		{"say", map[string]any{"text": 5}, "validating"}, // arguments that do not suit the tool's schema
	} {
		res, err := s.CallTool(s.within(), &mcp.CallToolParams{Name: s.tool(test.tool), Arguments: test.in})
		if err != nil || !res.IsError || !strings.Contains(textOf(res), test.want) {
			s.Errorf("%s: %+v, %v; want an error in the result: %s", test.tool, res, err, test.want)
		}
	}
	invalid := func(what string, err error) {
		s.Helper()
		if e, ok := errors.AsType[*jsonrpc.Error](err); !ok || e.Code != jsonrpc.CodeInvalidParams && e.Code != -32002 {
			s.Errorf("%s: %v", what, err)
		}
	}
	_, err := s.CallTool(s.within(), &mcp.CallToolParams{Name: s.tool("missing")})
	invalid("a tool that does not exist", err)
	_, err = s.GetPrompt(s.within(), &mcp.GetPromptParams{Name: s.tool("missing")})
	invalid("a prompt that does not exist", err)
	_, err = s.ReadResource(s.within(), &mcp.ReadResourceParams{URI: s.uri("file:///missing")})
	invalid("a resource that does not exist", err)
	_, err = s.Complete(s.within(), &mcp.CompleteParams{Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "nobody__missing"}, Argument: mcp.CompleteParamsArgument{Name: "a"}})
	if s.many {
		invalid("completion of a prompt that does not exist", err)
	}
}

// lists returns the names, or URIs, of what the server offers.
func (s *scene) lists(kind string) (all []string) {
	s.Helper()
	var err error
	switch kind {
	case "tools":
		for t, e := range s.Tools(s.within(), nil) {
			if err = e; e == nil {
				all = append(all, t.Name)
			}
		}
	case "prompts":
		for p, e := range s.Prompts(s.within(), nil) {
			if err = e; e == nil {
				all = append(all, p.Name)
			}
		}
	case "resources":
		for r, e := range s.Resources(s.within(), nil) {
			if err = e; e == nil {
				all = append(all, r.URI)
			}
		}
	}
	if err != nil {
		s.Fatalf("%s/list: %v", kind, err)
	}
	return all
}

// changes changes what the server offers: the client is told, and then sees it.
func (s *scene) changes() {
	names := map[string]string{"tools": s.tool("new"), "prompts": s.tool("new"), "resources": s.uri("file:///new")}
	for _, remove := range []bool{false, true} {
		for kind, name := range names {
			if all := s.lists(kind); slices.Contains(all, name) != remove {
				s.Fatalf("the %s are %v", kind, all)
			}
			for len(s.changed[kind]) > 0 {
				<-s.changed[kind]
			}
		}
		for kind := range names {
			s.call("change", order{Kind: kind, Text: "new", Remove: remove})
		}
		for kind, name := range names {
			s.expect(s.changed[kind], kind)
			testkit.Retry(s, "the changed "+kind, func() error {
				if all := s.lists(kind); slices.Contains(all, name) == remove {
					return fmt.Errorf("the %s are %v", kind, all)
				}
				return nil
			})
		}
		if remove {
			return
		}
		if got := s.call("new", order{}); got != "new" {
			s.Errorf("the new tool: %s", got)
		}
		if _, err := s.GetPrompt(s.within(), &mcp.GetPromptParams{Name: names["prompts"]}); err != nil {
			s.Errorf("the new prompt: %v", err)
		}
		s.reads("file:///new")
	}
}

func (s *scene) subscriptions() {
	s.call("told", order{Remove: true})
	a, b := s.uri("file:///a"), s.uri("file:///b")
	for _, uri := range []string{a, b} {
		if err := s.Subscribe(s.within(), &mcp.SubscribeParams{URI: uri}); err != nil {
			s.Fatalf("subscribing to %s: %v", uri, err)
		}
		if s.modern {
			s.expect(s.acknowledged, fmt.Sprint(false, false, false, []string{uri}))
		}
	}
	for _, uri := range []string{"a", "b", "a"} {
		s.call("update", order{Text: "file:///" + uri})
		s.expect(s.updated, s.uri("file:///"+uri))
	}
	if err := s.Unsubscribe(s.within(), &mcp.UnsubscribeParams{URI: a}); err != nil {
		s.Fatalf("unsubscribing: %v", err)
	}
	if !s.modern { // else the gateway may end its own session instead
		s.told("unsubscribed file:///a")
	}
	// Were the client told of the first, it would be before the second. The end
	// of a stream, which ends a subscription of 2026-07-28, overtakes nothing.
	testkit.Retry(s, "the subscription to end", func() error {
		s.call("update", order{Text: "file:///a"})
		s.call("update", order{Text: "file:///b"})
		got := s.next(s.updated, b)
		if got == b {
			return nil
		}
		if !s.modern {
			return testkit.Fatal(fmt.Errorf("the client was told of %s", got))
		}
		s.expect(s.updated, b)
		return fmt.Errorf("the client was told of %s", got)
	})
	if err := s.Unsubscribe(s.within(), &mcp.UnsubscribeParams{URI: b}); err != nil {
		s.Fatalf("unsubscribing: %v", err)
	}
}

func (s *scene) cancellation() {
	ctx, cancel := context.WithCancel(s.within())
	ended := make(chan error, 1)
	go func() {
		_, err := s.CallTool(ctx, &mcp.CallToolParams{Name: s.tool("wait"), Arguments: order{Text: s.Name()}})
		ended <- err
	}()
	s.told("waiting " + s.Name())
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		s.Errorf("the cancelled call ended with %v", err)
	}
	if s.server != "stateless" { // the SDK's goes on when its caller disconnects
		s.told("cancelled " + s.Name())
	}
	s.calls()
}
