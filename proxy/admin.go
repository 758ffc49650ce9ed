package proxy

import (
	"context"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// adminAPI is the operator's API at the address of the newest generation. It belongs to
// the goroutine that runs reloads.
type adminAPI struct {
	source  admin.Source
	metrics http.Handler
	server  *admin.Server // nil where there is no section admin
}

// replace serves by next, which may be nil, and returns the server before it, which
// has given up its address and has requests in flight; nil for none.
func (a *adminAPI) replace(next *admin.Server) (old *admin.Server) {
	old, a.server = a.server, next
	if old != nil {
		old.Unbind() // the address is free for the next generation at once
	}
	if next != nil {
		next.Serve()
	}
	return old
}

// close ends the API within ctx.
func (a *adminAPI) close(ctx context.Context) {
	if a.server != nil {
		a.server.Close(ctx)
	}
}
