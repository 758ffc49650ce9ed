package downstream

import (
	"mime"
	"net/http"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// RefuseBody refuses a body that is not read, and reports whether it has.
func RefuseBody(w http.ResponseWriter, r *http.Request) bool {
	var why string
	switch {
	case !isJSON(r):
		why = "Content-Type is not application/json"
	case isEncoded(r):
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 12.5.3
		why = "Content-Encoding is not supported; send the message as it is"
	default:
		return false
	}
	Refuse(w, r, http.StatusUnsupportedMediaType, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, why)
	return true
}

// isEncoded reports whether the body is compressed.
func isEncoded(r *http.Request) bool {
	for _, value := range r.Header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

// isJSON reports whether the body is declared to be JSON in UTF-8.
func isJSON(r *http.Request) bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
