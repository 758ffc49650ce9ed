package downstream

import (
	"mime"
	"net/http"
	"strings"
)

// Accept is what the client takes as an answer to a POST.
type Accept struct {
	// JSON reports whether it takes application/json.
	JSON bool
	// SSE reports whether the client asks for event streams by name.
	SSE bool
	// Wildcard reports whether anything will do, as curl says it.
	Wildcard bool
}

// ParseAccept reads the header Accept.
func ParseAccept(r *http.Request) Accept {
	values := r.Header.Values("Accept")
	if len(values) == 0 {
		return Accept{JSON: true, Wildcard: true}
	}
	var a Accept
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || strings.Trim(params["q"], "0.") == "" && params["q"] != "" {
				continue
			}
			switch kind {
			case "application/json", "application/*":
				a.JSON = true
			case "text/event-stream":
				a.SSE = true
			case "text/*":
				a.SSE = true
			case "*/*":
				a.JSON, a.Wildcard = true, true
			}
		}
	}
	return a
}

// None reports whether neither form of an answer is accepted.
func (a Accept) None() bool { return !a.JSON && !a.SSE && !a.Wildcard }

// Streams reports whether the client takes an event stream.
func (a Accept) Streams() bool { return a.SSE || a.Wildcard }
