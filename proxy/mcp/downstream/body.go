package downstream

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// read reads the message of a POST whole: streaming it through loses answers of
// servers that close it early. The lease grows by what it takes while it is read.
// Where it does not come whole read answers, and reports false.
func (e *endpoint) read(x exchange, lease *memory.Lease) ([]byte, bool) {
	var none jsonrpc.ID
	switch {
	case !isJSON(x.r):
		x.refuse(http.StatusUnsupportedMediaType, none, "Content-Type is not application/json")
		return nil, false
	case isEncoded(x.r):
		x.w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 12.5.3
		x.refuse(http.StatusUnsupportedMediaType, none, "Content-Encoding is not supported; send the message as it is")
		return nil, false
	}
	body, err := lease.ReadAll(http.MaxBytesReader(x.w, x.r.Body, int64(e.route.Limits.Message)), x.r.ContentLength)
	switch {
	case err == nil:
		return body, true
	case errors.Is(err, memory.ErrExhausted):
		x.fail(none, err)
	case errors.As(err, new(*http.MaxBytesError)):
		x.refuse(http.StatusRequestEntityTooLarge, none, "the message is longer than limits.message")
	default:
		x.info().SetFlag(filter.FlagDownstreamConnectionTermination)
		x.fail(none, &spec.Error{Status: http.StatusBadRequest, Code: jsonrpc.CodeParseError, Text: "the message did not come whole"})
	}
	return nil, false
}

// isEncoded reports whether the body is compressed.
func isEncoded(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Content-Encoding"), ","), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
			return true
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
