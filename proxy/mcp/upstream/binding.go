package upstream

import "github.com/mcpgateway/mcpgateway/clusters"

// binding is the endpoint that a session's requests go through, held so that
// its connections outlive the generation they were made in.
type binding struct {
	endpoint *clusters.Endpoint
	release  func()
}

func bind(e *clusters.Endpoint) binding { return binding{e, e.Hold()} }
