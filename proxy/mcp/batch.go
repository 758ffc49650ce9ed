package mcp

import (
	"bytes"
	"net/http"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// member is one element of a batch.
type member struct {
	msg *jsonrpc.Message
	// refusal answers what is no message, or must not be in a batch.
	refusal []byte
}

// answered reports whether the member is owed an answer.
func (m *member) answered() bool { return m.refusal != nil || m.msg.Kind() == jsonrpc.Request }

// parseBatch reads a batch of at most limit members. Each is judged by itself
// (JSON-RPC 2.0 section 6); an error is one of the whole.
func parseBatch(body []byte, limit int) ([]member, error) {
	all, err := jsonrpc.ParseValue(body)
	if err != nil {
		return nil, err
	}
	invalid := func(reason string) error {
		return &jsonrpc.ParseError{Code: jsonrpc.CodeInvalidRequest, Reason: reason}
	}
	var members []member
	for _, element := range all.Each {
		if len(members) == limit {
			return nil, invalid("too many messages in a batch")
		}
		members = append(members, parseMember(element.Raw()))
	}
	if len(members) == 0 {
		return nil, invalid("empty batch")
	}
	return members, nil
}

func parseMember(raw []byte) member {
	m, err := jsonrpc.Parse(raw)
	switch {
	case err != nil:
		return member{refusal: jsonrpc.NewError(jsonrpc.ID{}, parseCode(err), err.Error(), nil)}
	case m.Kind() == jsonrpc.Request && m.Method() == spec.Initialize:
		// MCP 2025-03-26, Lifecycle, Initialization.
		return member{refusal: jsonrpc.NewError(m.ID(), jsonrpc.CodeInvalidRequest, "initialize must not be part of a batch", nil)}
	}
	return member{msg: m}
}

// batch collects the answers to the requests of one batch. They go out as one
// array; what servers say meanwhile goes out at once.
type batch struct {
	out eventstream.Outlet

	mu      sync.Mutex
	status  int
	left    int
	ids     []jsonrpc.ID // these three by member
	owed    []bool
	answers [][]byte
	lease   memory.Lease // of the answers
}

func newBatch(out eventstream.Outlet, members []member, lease memory.Lease) *batch {
	b := &batch{out: out, status: http.StatusOK, ids: make([]jsonrpc.ID, len(members)), owed: make([]bool, len(members)), answers: make([][]byte, len(members)), lease: lease}
	for i := range members {
		m := &members[i]
		if m.msg != nil {
			b.ids[i] = m.msg.ID()
		}
		if b.owed[i] = m.answered(); b.owed[i] {
			b.left++
		}
	}
	return b
}

// member returns where the i-th member is answered.
func (b *batch) member(i int) eventstream.Outlet { return batchMember{b, i} }

type batchMember struct {
	*batch
	i int
}

func (m batchMember) Open() bool { return m.out.Open() }

func (m batchMember) Send(msg []byte) bool { return m.out.Send(msg) }

func (m batchMember) Finish(status int, answer []byte) {
	m.take(status, answer, eventstream.Required)
}

func (m batchMember) Offer(status int, answer []byte) bool {
	return m.take(status, answer, eventstream.Replaceable)
}

func (m batchMember) take(status int, answer []byte, as eventstream.Importance) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers[m.i] != nil {
		return true
	}
	if !as.Charge(&m.lease, len(answer)) {
		return false
	}
	m.answers[m.i] = answer
	m.status = max(m.status, status)
	if m.left--; m.left == 0 {
		m.lease.Release()
		if !m.out.Offer(m.status, m.joinedLocked()) {
			m.unheardLocked()
			m.out.Finish(m.status, m.joinedLocked())
		}
	}
	return true
}

// unheardLocked puts an error in the place of each answer.
func (b *batch) unheardLocked() {
	for i, id := range b.ids {
		if b.owed[i] {
			b.answers[i] = unheard(id)
		}
	}
}

// joinedLocked is the array of the answers.
func (b *batch) joinedLocked() []byte {
	given := slices.DeleteFunc(slices.Clone(b.answers), func(answer []byte) bool { return answer == nil })
	return slices.Concat([]byte("["), bytes.Join(given, []byte(",")), []byte("]"))
}

// interrupted answers whatever has not been.
func (b *batch) interrupted() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, id := range b.ids {
		if b.owed[i] && b.answers[i] == nil {
			b.answers[i] = interruption(id)
			b.left--
		}
	}
	b.lease.Release() // what is returned is charged where it goes
	return b.joinedLocked()
}

// batch takes a batch of a session of Streamable HTTP.
func (h *Handler) batch(w http.ResponseWriter, r *http.Request, body []byte, a downstream.Accept) {
	var none jsonrpc.ID
	s := h.session(w, r, none)
	if s == nil {
		return
	}
	defer s.life.exit()
	if !s.batches() {
		downstream.Refuse(w, r, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, none, jsonrpc.ErrBatch.Error())
		return
	}
	members, err := parseBatch(body, h.route.Limits.Pending)
	if err != nil {
		downstream.Refuse(w, r, http.StatusBadRequest, parseCode(err), none, err.Error())
		return
	}
	b := newBatch(nil, members, h.hub.opts.Memory.Lease(memory.Answer))
	requests := slices.ContainsFunc(members, func(m member) bool { return m.msg != nil && m.msg.Kind() == jsonrpc.Request })
	if !requests && b.left > 0 {
		b.status = http.StatusBadRequest
	}
	if b.left == 0 {
		for _, m := range members {
			h.inform(r, s, m.msg)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	st := s.newStream(s.resumable(h.answerTo(s, a)))
	reader := st.Reader()
	b.out = st
	for i, m := range members {
		switch {
		case m.refusal != nil:
			b.member(i).Finish(http.StatusOK, m.refusal)
		case m.msg.Kind() == jsonrpc.Request:
			c := h.newCall(r, s, m.msg)
			c.out = b.member(i)
			if err := s.launch(c); err != nil {
				c.out.Finish(http.StatusOK, failed(err).body(m.msg.ID()))
			}
		default:
			h.inform(r, s, m.msg)
		}
	}
	h.serve(w, r, reader, !a.JSON, b.interrupted)
	s.outlets.rescue(reader)
}

// inform takes what is not answered.
func (h *Handler) inform(r *http.Request, s *session, m *jsonrpc.Message) {
	if m.Kind() == jsonrpc.Notification {
		s.notification(upstream.WithHeader(r.Context(), h.upstreamHeader(r)), h.route, m)
	} else {
		s.questions.answer(m)
	}
}
