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
	case transports[k.kind].onlySessions:
		return spec.Initialized()
	case k.discover != nil:
		return listed(k.discover.Result().Get("supportedVersions"))
	case !k.isLegacy(c):
	case k.listed != nil:
		return slices.Clone(k.listed)
	default:
		return spec.Initialized()
	}
	return nil
}

// listed returns the revisions of a list in an answer.
func listed(list jsonrpc.Value) []string {
	all := []string{}
	for _, v := range list.Each {
		all = append(all, v.String())
	}
	return all
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
func notListed(err error, supported []string) error {
	known := slices.DeleteFunc(spec.Initialized(), func(v string) bool { return !slices.Contains(supported, v) })
	if len(known) == 0 {
		return err
	}
	return &notListedError{err, known}
}
