package mcp

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// reconnect is how long a client waits before it resumes a stream: long
	// enough not to hammer a gateway whose listener drains.
	reconnect = time.Second
	// primeAfter is how long a call may take before its answer becomes a
	// stream, where the client can resume it: a call that takes longer than
	// most should survive its connection.
	primeAfter = 100 * time.Millisecond
)

// errStreams: a session has as many streams as it may have.
var errStreams = errors.New("too many streams of this session")

// resumable makes a new stream one that the client can resume.
func (s *session) resumable(st *stream) {
	if !s.replay.on() {
		return
	}
	st.replay = s.replay
	// Clients of older revisions take an event without data for broken JSON.
	st.primes = st.eager && s.version >= spec.NewestLegacy
}

// patience is how long the reader waits for something to write before it
// shows that the stream is alive.
func (st *stream) patience() time.Duration {
	if st.primes {
		return primeAfter
	}
	return keepalive
}

// polled reports whether the stream of a call may end without its answer, since
// the client will come back for it (MCP 2025-11-25, Sending Messages to the
// Server). Clients of older revisions are promised that it does not.
func (st *stream) polled() bool { return st.primes && !st.standing }

// parseEventID takes an event id of ours apart.
func parseEventID(id string) (stream string, pos int, ok bool) {
	const longest = 64
	stream, digits, ok := strings.Cut(id, "-")
	if !ok || stream == "" || len(id) > longest || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", 0, false
	}
	pos, err := strconv.Atoi(digits)
	return stream, pos, err == nil && strconv.Itoa(pos) == digits
}

// resume continues the stream of the event that the client names, and no other
// one.
//
// What cannot be resumed is refused with 400 and a reason: 404 would end the
// whole session for the sake of one stream, and after 5xx or 429 clients try
// the same again. The official SDKs report the refusal and give the stream up,
// as they must: its next messages are lost.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request, s *session, id string) {
	st, stop, err := s.resume(id, h.route.Limits.Streams)
	switch {
	case errors.Is(err, errStreams):
		filter.RecordFrom(r.Context()).SetFlag(filter.FlagOverload)
		refuse(w, r, http.StatusTooManyRequests, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, err.Error())
		return
	case errors.Is(err, memory.ErrExhausted):
		h.overloaded(w, r, jsonrpc.ID{}, err)
		return
	case err != nil:
		refuse(w, r, http.StatusBadRequest, jsonrpc.CodeInvalidParams, jsonrpc.ID{}, err.Error())
		return
	}
	if st.standing {
		s.hear()
		defer s.unlisten(st, stop)
	}
	h.serve(w, r, st, true, nil)
}

// resume gives the stream of an event a new reader.
func (s *session) resume(id string, limit int) (*stream, chan struct{}, error) {
	name, pos, ok := parseEventID(id)
	if !ok {
		return nil, nil, errUnknownEvent
	}
	st := s.replay.find(name)
	if st == nil {
		return nil, nil, errUnknownEvent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	there := false
	for _, other := range s.streams {
		there = there || other == st
	}
	if st.standing && !there && len(s.streams) >= limit {
		return nil, nil, errStreams
	}
	if err := st.resume(pos); err != nil {
		return nil, nil, err
	}
	if st.standing && !there {
		s.listenLocked(st)
	}
	_, stop := st.reader()
	return st, stop, nil
}
