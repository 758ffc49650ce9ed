package downstream

import (
	"bytes"
	"net/http"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
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
	switch n := all.Len(); {
	case n == 0:
		return nil, &jsonrpc.ParseError{Code: jsonrpc.CodeInvalidRequest, Reason: "empty batch"}
	case n > limit:
		return nil, &jsonrpc.ParseError{Code: jsonrpc.CodeInvalidRequest, Reason: "too many messages in a batch"}
	}
	var members []member
	for _, element := range all.Each {
		members = append(members, parseMember(element.Raw()))
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
	out     eventstream.Outlet
	members []member

	mu      sync.Mutex
	status  int
	left    int
	answers [][]byte     // by member
	lease   memory.Lease // of the answers
}

func newBatch(out eventstream.Outlet, members []member, lease memory.Lease) *batch {
	b := &batch{out: out, members: members, status: http.StatusOK, answers: make([][]byte, len(members)), lease: lease}
	for _, m := range members {
		if m.answered() {
			b.left++
		}
	}
	return b
}

// each answers what is no message, and has handle take the others.
func (b *batch) each(handle func(m *jsonrpc.Message, out eventstream.Outlet)) {
	for i, m := range b.members {
		if m.refusal != nil {
			batchMember{b, i}.Finish(http.StatusOK, m.refusal)
		} else {
			handle(m.msg, batchMember{b, i})
		}
	}
}

// batchMember is where the i-th member is answered.
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
			clear(m.answers)
			m.fillLocked(session.Unheard)
			m.out.Finish(m.status, m.joinedLocked())
		}
	}
	return true
}

// fillLocked answers whatever has not been.
func (b *batch) fillLocked(with func(jsonrpc.ID) []byte) {
	for i := range b.members {
		if m := &b.members[i]; m.answered() && b.answers[i] == nil {
			var id jsonrpc.ID // of what is no message
			if m.msg != nil {
				id = m.msg.ID()
			}
			b.answers[i] = with(id)
		}
	}
}

// joinedLocked is the array of the answers.
func (b *batch) joinedLocked() []byte {
	given := slices.DeleteFunc(slices.Clone(b.answers), func(answer []byte) bool { return answer == nil })
	return slices.Concat([]byte("["), bytes.Join(given, []byte(",")), []byte("]"))
}

// interrupted is the answer where the connection must end before there are all.
func (b *batch) interrupted() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fillLocked(session.Interruption)
	b.lease.Release() // what is returned is charged where it goes
	return b.joinedLocked()
}

// batch takes a batch of a session.
func (h streamable) batch(x exchange, body []byte, a accept) {
	var none jsonrpc.ID
	s, ok := h.enter(x, none)
	if !ok {
		return
	}
	defer s.Exit()
	if !s.Batches() {
		x.refuse(http.StatusBadRequest, none, jsonrpc.ErrBatch.Error())
		return
	}
	members, err := parseBatch(body, h.route.Limits.Pending)
	if err != nil {
		x.refuseParse(err)
		return
	}
	b := newBatch(nil, members, h.route.Memory().Lease(memory.Answer))
	in := incoming{h.sender(x), x.r.Context(), atOnce}
	handle := func(m *jsonrpc.Message, out eventstream.Outlet) { in.take(s, m, out) }
	if b.left == 0 {
		b.each(handle)
		x.w.WriteHeader(http.StatusAccepted)
		return
	}
	if !slices.ContainsFunc(members, func(m member) bool { return m.msg != nil && m.msg.Kind() == jsonrpc.Request }) {
		b.status = http.StatusBadRequest
	}
	st := s.NewResumable(h.answerTo(a, true))
	reader := st.Reader()
	b.out = st
	b.each(handle)
	h.write(x, reader, !a.JSON, b.interrupted)
	s.Leave(reader)
}
