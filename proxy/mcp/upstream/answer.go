package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

const (
	// defaultRetry is the time before a stream is opened again, unless the
	// server names one; minRetry the least, whatever it names.
	defaultRetry = time.Second
	minRetry     = 100 * time.Millisecond
	// maxResumes bounds the attempts in a row to resume an answer that bring
	// nothing new.
	maxResumes = 5
)

// answer is the answer stream of one call, over all its resumptions.
type answer struct {
	request
	t      *streamable
	lease  *lease
	caller *Caller // may be nil

	lastID string
	retry  time.Duration
}

// follow reads the stream until the response is there, and resumes it where
// it breaks off. It ends the lease.
func (a *answer) follow(res *http.Response) (*jsonrpc.Message, error) {
	for futile := 0; ; {
		m, news, err := a.read(res)
		if m != nil {
			a.t.drain(res.Body, a.lease)
			return m, nil
		}
		res.Body.Close()
		if news {
			futile = 0
		}
		if res, err = a.resume(err, &futile); err != nil {
			a.lease.end()
			return nil, err
		}
	}
}

// read reads events until the response (m) or the end of the stream (err);
// news tells that there were any.
func (a *answer) read(res *http.Response) (m *jsonrpc.Message, news bool, err error) {
	events := a.t.in.limits.events(res.Body)
	defer events.Close()
	for {
		event, err := events.Next()
		if err != nil {
			return nil, news, err
		}
		news = true
		if event.HasID && a.repeats == nil { // streams without sessions cannot be resumed
			a.lastID = event.ID
		}
		if event.HasRetry {
			a.retry = max(event.Retry, minRetry)
		}
		if event.Name == "endpoint" && a.t.http.server.Load() == nil {
			return nil, news, errEndpointEvent
		}
		if m, ok := skimmed(event); ok {
			if id := m.ID(); m.IsResponse() && a.concerns(id) || !m.IsCall() && id.IsZero() {
				return nil, news, a.t.in.limits.tooLong(m.short)
			}
			a.t.in.skimmed(m)
			continue
		}
		if event.Data == nil && a.caller != nil && a.caller.Primed != nil {
			a.caller.Primed()
		}
		if !isMessageEvent(event) {
			continue
		}
		messages, err := parse(event.Data)
		if err != nil {
			if a.isAnswer(event.Data) {
				return nil, news, &UnreadableError{err.Error()}
			}
			a.t.in.unreadable(event.Data, err)
		}
		for _, m := range messages {
			over := a.t.in.limits.oversized(m)
			switch {
			case answers(m, a.id) && over:
				return nil, news, a.t.in.limits.tooLong(false)
			case answers(m, a.id):
				a.caller.take(events.Lease())
				return answerTo(a.id, m), news, nil
			case over:
				a.t.in.passOver(m)
			default:
				a.t.in.route(m, a.on)
			}
		}
	}
}

// isAnswer reports whether bytes that are no message were meant as the answer.
func (a *answer) isAnswer(b []byte) bool {
	id, method, ok := salvage(b)
	if ok && !id.IsZero() {
		return method == "" && a.concerns(id)
	}
	return method == "" && isMessage(b)
}

// concerns reports whether id is that of the call, whatever its type.
func (a *answer) concerns(id jsonrpc.ID) bool { return id == a.id || id.Twin() == a.id }

// answers reports whether m is the response to the request id, on a stream that
// was opened for it. An error without an id is the response of a server that
// did not understand as much of the request (JSON-RPC 2.0, section 5).
func answers(m *jsonrpc.Message, id jsonrpc.ID) bool {
	return m.Kind() == jsonrpc.Response && (m.ID() == id || m.ID().Twin() == id || m.ID().IsZero() && m.IsError())
}

// answerTo gives an answer the id of the call that it ends: of one that took
// several requests each had its own, and some servers write 5 as "5" or 5.0.
func answerTo(id jsonrpc.ID, m *jsonrpc.Message) *jsonrpc.Message {
	if m == nil || string(m.RawID()) == id.Raw() {
		return m
	}
	var e jsonrpc.Edits
	e.SetID(m, id)
	answer, err := jsonrpc.Parse(e.Apply(m))
	if err != nil { // it was parsed before
		return m
	}
	return answer
}

// resume asks for the rest of the stream, each time after the wait that the
// server wants (MCP 2025-11-25, Resumability and Redelivery). cause is why the
// stream ended; futile counts the attempts that brought nothing.
func (a *answer) resume(cause error, futile *int) (*http.Response, error) {
	if errors.Is(cause, errEndpointEvent) || errors.As(cause, new(*UnreadableError)) || errors.As(cause, new(*TooLongError)) {
		return nil, cause
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	for ; a.lastID != "" && *futile < maxResumes && !errors.Is(cause, sse.ErrTooLong); *futile++ {
		if !sleep(a.lease.ctx, a.retry<<*futile, nil) {
			return nil, &interruptedError{context.Cause(a.lease.ctx)}
		}
		res, err := a.t.roundTrip(a.lease.ctx, http.MethodGet, nil, nil, a.lastID)
		if err != nil {
			cause = err
			continue
		}
		if success(res) && mediaType(res) == typeEvents {
			*futile++
			return res, nil
		}
		_, cause = a.t.refused(a.lease.ctx, res, jsonrpc.ID{})
		res.Body.Close()
		if res.StatusCode < http.StatusInternalServerError || errors.Is(cause, ErrSessionLost) {
			break // an answer that does not change
		}
	}
	return nil, &interruptedError{cause}
}

// isMessageEvent reports whether an event of any stream holds messages.
func isMessageEvent(event sse.Event) bool {
	return len(event.Data) > 0 && (event.Name == "" || event.Name == "message")
}

// sleep waits, and reports false when ctx ended first. wake, which may be nil,
// ends the waiting early.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}
