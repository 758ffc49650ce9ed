package mcp

import (
	"crypto/sha256"
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// keptLimit is how many sessions are kept for single calls of one principal
// at the same time; more are made, and not kept.
const keptLimit = 8

// keptKey tells whose single calls may share upstream sessions: those of one
// principal that use the same names, and say the same of themselves.
type keptKey struct {
	route, principal, version, level string
	init                             [sha256.Size]byte
	naming                           naming
}

// borrow returns a session for one call of a client that has none, for its
// use alone. An anonymous client gets a fresh one, so that no state of a
// server leaks from one user to the next.
func (h *Hub) borrow(handler *Handler, principal filter.Principal, init clientInit) (*session, error) {
	anonymous := principal.Kind == filter.Anonymous || principal.Kind == ""
	naming := newNaming(handler.Config.Namespace, handler.Config.Clusters)
	key := keptKey{handler.Route, principal.Key(), init.version, init.level, sha256.Sum256(init.params), naming}
	for !anonymous {
		s := h.unkeep(key)
		if s == nil {
			break
		}
		if s.enter(handler) {
			return s, nil
		}
	}
	s := h.newSession(handler, principal.Key(), init)
	s.sessionless = true
	s.key = key
	s.anonymous = anonymous
	err := h.admit(s, handler.Config.Limits, anonymous)
	for err != nil && h.evict(handler.Route, principal.Key()) {
		err = h.admit(s, handler.Config.Limits, anonymous)
	}
	if err != nil {
		s.cancel(err)
		return nil, err
	}
	s.enter(handler)
	return s, nil
}

// evict ends one session that is kept for single calls of the principal and
// not in use: a client that says another thing of itself each time would keep
// itself out with what is kept for it. It reports false when there is none.
func (h *Hub) evict(route, principal string) bool {
	h.mu.Lock()
	var victim *session
	for key, kept := range h.kept {
		if key.route == route && key.principal == principal {
			victim = kept[0]
			h.unkeepLocked(victim)
			break
		}
	}
	h.mu.Unlock()
	if victim == nil {
		return false
	}
	victim.end("evicted", errEnded)
	return true
}

// giveBack ends the use of what borrow returned.
func (h *Hub) giveBack(s *session) {
	s.exit()
	if s.anonymous {
		s.end("single call", errEnded)
		return
	}
	h.mu.Lock()
	handler, served := h.current[s.route]
	closed := h.closed || !served || len(h.kept[s.key]) >= keptLimit
	if !closed {
		h.kept[s.key] = append(h.kept[s.key], s)
	}
	h.mu.Unlock()
	if closed {
		s.end("single call", errEnded)
		return
	}
	// A generation that came meanwhile did not find the session.
	s.follow(handler)
}

// unkeep takes a kept session, the one that was used last: the others may
// become idle.
func (h *Hub) unkeep(key keptKey) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.kept[key]
	if len(kept) == 0 {
		return nil
	}
	s := kept[len(kept)-1]
	h.unkeepLocked(s)
	return s
}

func (h *Hub) unkeepLocked(s *session) {
	if !s.sessionless {
		return
	}
	key := s.key
	kept := h.kept[key]
	for i, other := range kept {
		if other == s {
			h.kept[key] = append(kept[:i:i], kept[i+1:]...)
			break
		}
	}
	if len(h.kept[key]) == 0 {
		delete(h.kept, key)
	}
}

// selfInit are the params with which the gateway initialises for a client
// that has not said who it is.
func (h *Hub) selfInit(version string) []byte {
	b := jsonrpc.AppendString([]byte(`{"protocolVersion":`), version)
	b = jsonrpc.AppendString(append(b, `,"capabilities":{},"clientInfo":{"name":`...), h.opts.Name)
	b = jsonrpc.AppendString(append(b, `,"version":`...), h.opts.Version)
	return append(b, '}', '}')
}

// overloaded refuses a client for which there is no room.
func (h *Handler) overloaded(w http.ResponseWriter, r *http.Request, id jsonrpc.ID, err error) {
	status := http.StatusServiceUnavailable
	if errors.Is(err, errPrincipal) {
		status = http.StatusTooManyRequests
	}
	filter.RecordFrom(r.Context()).SetFlag(flagOverload)
	filter.RecordFrom(r.Context()).SetReason(err.Error())
	f := &failure{code: jsonrpc.CodeInternalError, text: err.Error(), flag: flagOverload}
	writeJSON(w, status, f.body(id))
}
