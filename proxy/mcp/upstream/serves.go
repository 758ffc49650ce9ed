package upstream

import (
	"slices"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

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

// lists reports whether the revision without sessions is among these.
func lists(supported jsonrpc.Value) bool { return contains(supported, spec.Modern) }

// contains reports whether a version is among these.
func contains(supported jsonrpc.Value, wanted string) bool {
	for _, version := range supported.Each {
		if version.String() == wanted {
			return true
		}
	}
	return false
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
