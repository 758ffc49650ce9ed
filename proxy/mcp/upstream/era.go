package upstream

import (
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Serves returns the revisions that a cluster was found to serve: those that
// all of its endpoints do that have said so. known is false while none has.
// What is remembered stays true while the endpoint is down.
func (t *Transports) Serves(c *clusters.Cluster) (versions []string, known bool) {
	cfg := c.Config().MCP
	switch {
	case cfg.Protocol != "" && cfg.Protocol != "auto":
		return []string{cfg.Protocol}, true
	case cfg.Transport == "sse" && !c.IsCommand():
		return withSessions(), true
	}
	for _, e := range c.Endpoints() {
		k := t.get(c, e)
		served := k.serves(c)
		switch {
		case served == nil:
		case !known:
			versions, known = served, true
		default:
			versions = slices.DeleteFunc(versions, func(v string) bool { return !slices.Contains(served, v) })
		}
	}
	return versions, known
}

// serves returns the revisions that an endpoint was found to serve, nil while
// that is unknown.
func (k spoken) serves(c *clusters.Cluster) []string {
	switch {
	case k.kind == SSE:
		return withSessions()
	case k.discover != nil:
		return listed(k.discover)
	case !k.isLegacy(c):
	case k.listed != nil:
		return slices.Clone(k.listed)
	default:
		return withSessions()
	}
	return nil
}

// Serves returns the revisions that the server lists. One that answers no
// server/discover cannot list any: those with sessions are assumed, or the
// only one that the cluster's mcp.protocol names.
func (s *Session) Serves() []string {
	switch forced := s.forced; {
	case forced != "":
		return []string{forced}
	case s.stateless != nil:
		return listed(s.stateless.discover)
	}
	return withSessions()
}

// Stateless reports whether the server has said that it keeps nothing between
// two requests of this session: it speaks a revision without sessions, or gave
// the session no id by which it could know it again.
func (s *Session) Stateless() bool {
	if s.stateless != nil {
		return true
	}
	t, ok := s.transport.(*streamable)
	return ok && t.sessionID() == ""
}

// withSessions returns the revisions that begin with initialize.
func withSessions() []string { return spec.Initialized() }

// listed returns the revisions that an answer to server/discover lists.
func listed(discover *jsonrpc.Message) []string {
	all := []string{}
	for _, v := range discover.Result().Get("supportedVersions").Each {
		all = append(all, v.String())
	}
	return all
}

// isLegacy reports whether the server is believed to know no revision
// without sessions.
func (k spoken) isLegacy(c *clusters.Cluster) bool {
	age := legacyAge
	if c.IsCommand() {
		age = legacyAgeCommand
	}
	return time.Since(k.legacy) <= age
}

// notListedError is errNotListed of a server that lists others, of which
// versions are those that begin with initialize and are spoken.
type notListedError struct {
	error
	versions []string
}

func (e *notListedError) Unwrap() error { return e.error }

// notListed returns err with what the server lists instead, if that is
// anything.
func notListed(err error, supported jsonrpc.Value) error {
	var known []string
	for _, version := range spec.Initialized() {
		if contains(supported, version) {
			known = append(known, version)
		}
	}
	if known == nil {
		return err
	}
	return &notListedError{err, known}
}
