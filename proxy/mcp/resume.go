package mcp

import (
	"errors"
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// errStreams: a session has as many streams as it may have.
var errStreams = errors.New("too many streams of this session")

// resumable makes of what a stream is made of one that the client can resume.
func (s *session) resumable(o eventstream.Options) eventstream.Options {
	if s.store.Enabled() {
		o.Store = s.store
		// Clients of older revisions take an event without data for broken JSON.
		o.Primes = s.version >= spec.NewestLegacy
	}
	return o
}

// resume continues the stream of the event that the client names, and no other
// one.
//
// What cannot be resumed is refused with 400 and a reason: 404 would end the
// whole session for the sake of one stream, and after 5xx or 429 clients try
// the same again. The official SDKs report the refusal and give the stream up,
// as they must: its next messages are lost.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request, s *session, id string) {
	reader, err := s.resume(id, h.route.Limits.Streams)
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
	if reader.Stream().Standing() {
		s.hear()
		defer s.unlisten(reader)
	}
	h.serve(w, r, reader, true, nil)
}

// resume gives the stream of an event a new reader.
func (s *session) resume(id string, limit int) (eventstream.Reader, error) {
	st, pos, err := s.store.Find(id)
	if err != nil {
		return eventstream.Reader{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begins := st.Standing() && !slices.Contains(s.streams, st)
	if begins && len(s.streams) >= limit {
		return eventstream.Reader{}, errStreams
	}
	reader, err := st.Resume(pos)
	if err == nil && begins {
		s.listenLocked(st)
	}
	return reader, err
}
