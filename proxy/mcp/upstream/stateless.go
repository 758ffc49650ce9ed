package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// maxRounds bounds how often a server may ask for input within one call.
const maxRounds = 16

// stateless is the era of servers without sessions. For a client that does not
// know such servers it emulates a session.
type stateless struct {
	subscriber
	// modern: the client knows such servers.
	modern    bool
	questions questions
}

func newStateless(s *Session, r *requester, o *opening, server jsonrpc.Value) *stateless {
	return &stateless{modern: o.opts.Modern, subscriber: subscriber{
		requester: r, place: s.place, pace: clusterPace().Unbounded(), life: s.life, in: s.in,
		subscriptions: newSubscriptions(), capabilities: server.Get("capabilities"),
	}}
}

func (s *stateless) call(ctx context.Context, r request) (*jsonrpc.Message, error) {
	m, err := s.rounds(ctx, r)
	return answerTo(r.id, m), err
}

// rounds makes a call, in as many rounds as the server asks for input.
func (s *stateless) rounds(ctx context.Context, r request) (*jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(r.body)
	if err != nil {
		return nil, &unsentError{err}
	}
	if !s.modern {
		if answer, ok, err := s.emulated(ctx, m); ok {
			return answer, err
		}
	}
	for round := 0; ; round++ {
		res, err := s.exchange(ctx, m, r.on)
		if err != nil || s.modern || res.IsError() || res.Result().Get("resultType").String() != "input_required" {
			return res, err
		}
		if round == maxRounds {
			return nil, fmt.Errorf("%w: the server asked for input %d times", ErrProtocol, round+1)
		}
		show := func(question *jsonrpc.Message) { s.in.route(question, r.on) }
		try, refusal, err := s.questions.fulfil(ctx, s.life.ctx, m, s.ids.next(), res.Result(), show)
		if refusal != nil || err != nil {
			return refusal, err
		}
		m = try
	}
}

// emulated answers, for a server without sessions, what only concerns one. ok is
// false for everything else.
func (s *stateless) emulated(ctx context.Context, m *jsonrpc.Message) (answer *jsonrpc.Message, ok bool, err error) {
	switch m.Method() {
	case spec.Ping:
	case spec.LoggingSetLevel:
		s.level.Store(m.Params().Get("level").String())
	case spec.ResourcesSubscribe, spec.ResourcesUnsubscribe:
		err = s.subscribe(ctx, m.Params().Get("uri").String(), m.Method() == spec.ResourcesSubscribe)
	default:
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	answer, err = jsonrpc.Parse(jsonrpc.NewResult(m.ID(), nil))
	return answer, true, err
}

// send takes what a client of a session says unasked. A server without
// sessions hears of none of it, but for cancellation where there is no
// connection of the call's own to close (MCP 2026-07-28, Cancellation).
func (s *stateless) send(ctx context.Context, msg []byte) error {
	m, err := jsonrpc.Parse(msg)
	if err != nil {
		return &unsentError{err}
	}
	if m.Kind() == jsonrpc.Response {
		s.questions.answered(m)
		return nil
	}
	if m.Method() == spec.NotificationCancelled && s.transport.kind().OneStream() {
		return s.transport.send(ctx, msg)
	}
	return nil
}

// ping asks the server who it is, and learns what is not as it was.
func (s *stateless) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	m, err := s.discover(ctx, false)
	switch {
	case err == nil:
		s.known.discovered(m)
	case errors.Is(err, errNotListed):
		s.known.undiscovered() // an answer all the same
	default:
		return err
	}
	return nil
}

// exchange sends one request and returns its answer. Where the server finds
// that its parameters are not repeated in headers as they should be, its tools
// are asked for anew, once.
func (s *stateless) exchange(ctx context.Context, m *jsonrpc.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	res, err := s.repeating(ctx, m, false, on)
	if err == nil && res.ErrorCode() == jsonrpc.CodeHeaderMismatch && s.mirrors(m) {
		res, err = s.repeating(ctx, m, true, on)
	}
	switch {
	case err != nil:
		return nil, err
	case res.ErrorCode() == jsonrpc.CodeUnsupportedVersion:
		// It was another server's answer that said otherwise.
		s.known.undiscovered()
		s.life.end(lost(errors.New("the server does not speak " + spec.Modern + " any more")))
	case m.Method() == spec.ToolsList && !s.transport.kind().OneStream():
		res, _ = s.known.tools().admit(res, s.in.ignore)
	}
	return res, nil
}

// mirrors reports whether a request has parameters that the server may want in
// headers.
func (s *stateless) mirrors(m *jsonrpc.Message) bool {
	return m.Method() == spec.ToolsCall && !s.transport.kind().OneStream()
}

// repeating sends one request with the headers that repeat its parameters. What
// is not known of the called tool is asked for; anew says that it is asked for in
// any case.
func (s *stateless) repeating(ctx context.Context, m *jsonrpc.Message, anew bool, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	if !s.mirrors(m) {
		return s.post(ctx, m, nil, on)
	}
	tools, tool := s.known.tools(), m.Params().Get("name").String()
	params, known := tools.of(tool)
	if !known || anew {
		post := func(list *jsonrpc.Message) (*jsonrpc.Message, error) {
			return s.post(ctx, list, nil, func(*jsonrpc.Message) {})
		}
		if err := tools.search(tool, s.ids.next, nil, post, s.in.ignore); err != nil {
			return nil, err
		}
		params, _ = tools.of(tool)
	}
	if refusal := s.disagreement(ctx, m, params); refusal != nil {
		return refusal, nil
	}
	return s.post(ctx, m, params, on)
}

// disagreement refuses a modern client's call whose headers do not say what
// its body says, as the server would if it saw them: towards the server they
// are written anew.
func (s *stateless) disagreement(ctx context.Context, m *jsonrpc.Message, params []headerParam) *jsonrpc.Message {
	header, _ := ctx.Value(headerKey{}).(http.Header)
	if !s.modern || header == nil {
		return nil
	}
	for _, p := range params {
		if !p.agrees(header, m.Params()) {
			text := "header mismatch: " + p.header + " does not say what " + strings.Join(p.path, ".") + " says in the body"
			refusal, _ := jsonrpc.Parse(jsonrpc.NewError(m.ID(), jsonrpc.CodeHeaderMismatch, text, nil)) // it is ours
			return refusal
		}
	}
	return nil
}
