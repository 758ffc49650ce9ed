package mcp

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
)

// serve writes a stream to the HTTP answer, as [eventstream.Serve] does.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, reader eventstream.Reader, atOnce bool, last func() []byte) {
	eventstream.Serve(r.Context(), w, reader, eventstream.Serving{
		AtOnce:    atOnce,
		Ending:    ending(r),
		Expiry:    filter.PrincipalFrom(r.Context()).ExpiresAt,
		Last:      last,
		WriteJSON: downstream.WriteJSON,
		Observer:  h.observe(r),
	})
}

// ending returns what is closed when the connection of the request must end;
// nil where there is none that must.
func ending(r *http.Request) <-chan struct{} {
	if conn := listeners.FromContext(r.Context()); conn != nil {
		return conn.Ending()
	}
	return nil
}

// observer counts an answer that becomes a stream, and says in the access log
// what ended it.
type observer struct {
	h *Handler
	r *http.Request
}

func (h *Handler) observe(r *http.Request) eventstream.Observer { return observer{h, r} }

// Begun implements eventstream.Observer.
func (o observer) Begun() (done func()) {
	return o.h.hub.streamBegun(o.h.route.Name, listeners.FromContext(o.r.Context()))
}

// Interrupted implements eventstream.Observer.
func (o observer) Interrupted(end eventstream.End) {
	info := filter.RequestInfoFrom(o.r.Context())
	switch end {
	case eventstream.Gone:
		info.SetFlag(filter.FlagDownstreamConnectionTermination)
	case eventstream.Drained:
		info.SetFlag(filter.FlagDrained)
	case eventstream.Expired:
		info.SetFlag(filter.FlagUnauthorized)
	}
}
