package downstream

import (
	"net/http"
	"strconv"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// Refuse answers a request that is not served as JSON-RPC at all, and records why.
func Refuse(w http.ResponseWriter, r *http.Request, status, code int, id jsonrpc.ID, text string) {
	filter.RequestInfoFrom(r.Context()).SetReason(text)
	WriteJSON(w, status, jsonrpc.NewError(id, code, text, nil))
}

// NotAllowed refuses a request whose method is none of those that allow names.
func NotAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	Refuse(w, r, http.StatusMethodNotAllowed, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "method not allowed")
}

// WriteJSON writes an answer that comes alone.
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", filter.RetryAfter)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
