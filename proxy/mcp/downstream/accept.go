package downstream

import (
	"mime"
	"net/http"
	"strings"
)

// accept is what the client takes as an answer to a POST.
type accept struct {
	JSON     bool
	SSE      bool // asked for by name
	Wildcard bool // anything will do, as curl says it
}

// parseAccept reads the header Accept.
func parseAccept(r *http.Request) accept {
	values := r.Header.Values("Accept")
	if len(values) == 0 {
		return accept{JSON: true, Wildcard: true}
	}
	var a accept
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil || strings.Trim(params["q"], "0.") == "" && params["q"] != "" {
			continue
		}
		switch kind {
		case "application/json", "application/*":
			a.JSON = true
		case "text/event-stream", "text/*":
			a.SSE = true
		case "*/*":
			a.JSON, a.Wildcard = true, true
		}
	}
	return a
}

// none reports whether neither form of an answer is accepted.
func (a accept) none() bool { return !a.JSON && !a.SSE && !a.Wildcard }

// streams reports whether the client takes an event stream.
func (a accept) streams() bool { return a.SSE || a.Wildcard }
