package mcp

import (
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// errStreams: a session has as many streams as it may have.
var errStreams = errors.New("too many streams of this session")

// resumable makes of what a stream is made of one that the client can resume.
func (s *session) resumable(o eventstream.Options) eventstream.Options {
	if s.outlets.store.Enabled() {
		o.Store = s.outlets.store
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
	reader, err := s.outlets.resume(id, h.route.Limits.Streams)
	switch {
	case errors.Is(err, errStreams):
		filter.RequestInfoFrom(r.Context()).SetFlag(filter.FlagOverload)
		downstream.Refuse(w, r, http.StatusTooManyRequests, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, err.Error())
		return
	case errors.Is(err, memory.ErrExhausted):
		h.overloaded(w, r, jsonrpc.ID{}, err)
		return
	case err != nil:
		downstream.Refuse(w, r, http.StatusBadRequest, jsonrpc.CodeInvalidParams, jsonrpc.ID{}, err.Error())
		return
	}
	if reader.Stream().Standing() {
		s.servers.startListening()
		defer s.outlets.unlisten(reader)
	}
	h.serve(w, r, reader, true, nil)
}
