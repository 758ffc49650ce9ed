package upstream

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Server is what a server has said of itself when its session began. It does not
// change.
type Server struct {
	// Kind is the transport that the server speaks.
	Kind Kind
	// Version is the negotiated protocol revision.
	Version string
	// Result is the server's response to initialize, or one that says the same as a
	// server without sessions has said.
	Result *jsonrpc.Message
	// Discover is the server's answer to server/discover, nil where it has sessions.
	Discover *jsonrpc.Message
	forced   string // the revision that the configuration forces, "" for none
}

// Modern reports whether the server speaks a revision without sessions. A nil
// Server, of which nothing is known, does not.
func (s *Server) Modern() bool { return s != nil && s.Discover != nil }

// Serves returns the revisions that the server lists. One that answers no
// server/discover cannot list any: those with sessions are assumed, or the
// only one that the cluster's mcp.protocol names.
func (s *Server) Serves() []string {
	switch {
	case s.forced != "":
		return []string{s.forced}
	case s.Modern():
		return listed(s.Discover.Result().Get("supportedVersions"))
	}
	return spec.Initialized()
}

// introduction is what a server without sessions would have answered to
// initialize.
func introduction(client jsonrpc.Value, discover *jsonrpc.Message) *jsonrpc.Message {
	res := discover.Result()
	object := func(v jsonrpc.Value, or []byte) []byte {
		if v.Kind() == jsonrpc.Object {
			return v.Raw()
		}
		return or
	}
	info := object(res.Get("serverInfo"), []byte(`{"name":"unknown","version":"unknown"}`)) // where drafts had it
	var instructions []byte
	if said := res.Get("instructions"); said.Kind() == jsonrpc.String {
		instructions = said.Raw()
	}
	result := jsonrpc.NewObject("protocolVersion", client.Get("protocolVersion").Raw(), "capabilities", object(res.Get("capabilities"), []byte("{}")),
		"serverInfo", object(res.Get("_meta", jsonrpc.MetaServerInfo), info), "instructions", instructions)
	m, err := jsonrpc.Parse(jsonrpc.NewResult(discover.ID(), result))
	if err != nil { // it is made of what was parsed
		return discover
	}
	return m
}
