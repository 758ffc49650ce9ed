package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// inquiries are the questions that servers ask in the middle of calls, and the
// answers that they got.
type inquiries struct {
	answered atomic.Int64
	wrong    atomic.Pointer[string]
}

// inquire adds tools that ask the caller for its own word: once by elicitation,
// once by sampling, and once each.
func (q *inquiries) inquire(s *mcp.Server) http.Handler {
	elicit := func(ctx context.Context, r *mcp.CallToolRequest, word string) error {
		res, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: word})
		if err != nil {
			return err
		}
		return q.check(word, fmt.Sprint(res.Content["word"]))
	}
	sample := func(ctx context.Context, r *mcp.CallToolRequest, word string) error {
		res, err := r.Session.CreateMessage(ctx, &mcp.CreateMessageParams{
			MaxTokens: 5, Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: word}}},
		})
		if err != nil {
			return err
		}
		return q.check(word, res.Content.(*mcp.TextContent).Text)
	}
	type asks = func(context.Context, *mcp.CallToolRequest, string) error
	for name, questions := range map[string][]asks{"elicit": {elicit}, "sample": {sample}, "both": {elicit, sample}} {
		mcp.AddTool(s, &mcp.Tool{Name: name}, func(ctx context.Context, r *mcp.CallToolRequest, in harness.Text) (*mcp.CallToolResult, any, error) {
			for _, ask := range questions {
				if err := ask(ctx, r, in.Text); err != nil {
					return nil, nil, err
				}
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
		})
	}
	return harness.Streamable(s)
}

// check compares an answer with the question. A federation heads questions
// with the name of the cluster.
func (q *inquiries) check(word, answer string) error {
	q.answered.Add(1)
	if !strings.HasSuffix(answer, "] "+word) {
		wrong := fmt.Sprintf("asked for %q, got %q", word, answer)
		q.wrong.Store(&wrong)
		return fmt.Errorf("%s", wrong)
	}
	return nil
}

const (
	sdkClients  = 30
	callsOfEach = 54 // each third one asks twice
)

func TestTwoThousandRoundTripsReachTheirOwners(t *testing.T) {
	var q inquiries
	w := harness.NewWorldOf(t, "/mcp", q.inquire)
	w.Members = "one, two"
	w.MCP = ", limits: {sessions_per_principal: 1000}" + everyVersion
	w.MustApply(w.YAML())
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i := range sdkClients {
		version := []string{"2025-11-25", "2025-06-18", "2026-07-28"}[i%3]
		wg.Go(func() {
			if err := answers(ctx, t, w, fmt.Sprintf("client %d of %s", i, version), version); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 6 {
		wg.Go(func() {
			if err := sameIDs(ctx, t, w, fmt.Sprintf("raw client %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wrong := q.wrong.Load(); wrong != nil {
		t.Error(*wrong)
	}
	if n := q.answered.Load(); n < 2000 {
		t.Errorf("%d round trips", n)
	}
}

// answers calls tools that ask, and answers with what was asked, if it was
// asked about its own call.
func answers(ctx context.Context, t *testing.T, w *harness.World, who, version string) error {
	var current atomic.Pointer[string]
	mine := func(question string) error {
		if !strings.HasSuffix(question, "] "+*current.Load()) {
			return fmt.Errorf("%s is asked %q", *current.Load(), question)
		}
		return nil
	}
	c := mcp.NewClient(&mcp.Implementation{Name: who, Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"word": r.Params.Message}}, mine(r.Params.Message)
		},
		CreateMessageHandler: func(_ context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			content := r.Params.Messages[0].Content
			return &mcp.CreateMessageResult{Role: "assistant", Model: "m", Content: content}, mine(content.(*mcp.TextContent).Text)
		},
	})
	session, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: "https://" + w.Address("public") + "/mcp", HTTPClient: harness.Client(t, w.CA.PEM(), "http/1.1")},
		&mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	defer session.Close()
	if got := session.InitializeResult().ProtocolVersion; got != version {
		return fmt.Errorf("%s speaks %s", who, got)
	}
	for n := range callsOfEach {
		word := fmt.Sprintf("%s, call %d", who, n)
		current.Store(&word)
		tool := []string{"one__elicit", "two__sample", "one__both", "two__elicit", "one__sample", "two__both"}[n%6]
		res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"text": word}})
		if err != nil {
			return fmt.Errorf("%s, %s: %w", word, tool, err)
		}
		if got := res.Content[0].(*mcp.TextContent).Text; got != word {
			return fmt.Errorf("%s, %s: answered %q", word, tool, got)
		}
	}
	return nil
}

// rawSession is a session of a client that chooses its ids badly.
type rawSession struct {
	url, id string
	hc      *http.Client
}

// sameIDs sends two calls with one id at the same time, again and again.
func sameIDs(ctx context.Context, t *testing.T, w *harness.World, who string) error {
	s := &rawSession{url: "https://" + w.Address("public") + "/mcp", hc: harness.Client(t, w.CA.PEM(), "http/1.1")}
	res, err := s.post(ctx, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{},"sampling":{}},"clientInfo":{"name":"raw","version":"1"}}}`)
	if err != nil {
		return err
	}
	s.id = res.Header.Get("Mcp-Session-Id")
	res.Body.Close()
	for n := range 10 {
		errs := make(chan error, 2)
		for i, tool := range []string{"one__elicit", "two__elicit"} {
			go func() { errs <- s.call(ctx, tool, fmt.Sprintf("%s, call %d.%d", who, n, i)) }()
		}
		for range 2 {
			if err := <-errs; err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *rawSession) post(ctx context.Context, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if s.id != "" {
		r.Header.Set("Mcp-Session-Id", s.id)
	}
	res, err := s.hc.Do(r)
	if err == nil && res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		return nil, fmt.Errorf("%s: %s", res.Status, text)
	}
	return res, err
}

// call makes a call with the id 1, and answers what comes on its stream.
func (s *rawSession) call(ctx context.Context, tool, word string) error {
	res, err := s.post(ctx, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"text":%q}}}`, tool, word))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "" {
			continue
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Message string }
			Result struct{ Content []struct{ Text string } }
		}
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			return fmt.Errorf("%s: %w", data, err)
		}
		switch {
		case m.Method == "elicitation/create" && strings.HasSuffix(m.Params.Message, "] "+word):
			answer, err := s.post(ctx, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"action":"accept","content":{"word":%q}}}`, m.ID, m.Params.Message))
			if err != nil {
				return err
			}
			answer.Body.Close()
		case string(m.ID) == "1" && len(m.Result.Content) == 1 && m.Result.Content[0].Text == word:
			return nil
		default:
			return fmt.Errorf("%s: got %s", word, data)
		}
	}
	return fmt.Errorf("%s: the stream ended", word)
}
