package mcp

import (
	"mime"
	"net/http"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// accept is what the client takes as an answer to a POST.
type accept struct {
	json bool
	// sse: the client asks for event streams by name.
	sse bool
	// wildcard: anything will do, as curl says it.
	wildcard bool
}

func parseAccept(r *http.Request) accept {
	values := r.Header.Values("Accept")
	if len(values) == 0 {
		return accept{json: true, wildcard: true}
	}
	var a accept
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || strings.Trim(params["q"], "0.") == "" && params["q"] != "" {
				continue
			}
			switch kind {
			case "application/json", "application/*":
				a.json = true
			case "text/event-stream":
				a.sse = true
			case "text/*":
				a.sse = true
			case "*/*":
				a.json, a.wildcard = true, true
			}
		}
	}
	return a
}

// none reports that neither form of an answer is accepted.
func (a accept) none() bool { return !a.json && !a.sse && !a.wildcard }

// refuseBody refuses a body that is not read, and reports whether it has.
func refuseBody(w http.ResponseWriter, r *http.Request) bool {
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
	refuse(w, r, http.StatusUnsupportedMediaType, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, why)
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
