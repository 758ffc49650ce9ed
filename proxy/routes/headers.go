package routes

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// hopByHop reports whether a canonical field name belongs to one connection
// (RFC 9110 section 7.6.1). Alt-Svc does, in effect: the ports that an upstream
// names are its own, and clients would look for them here, for a month.
func hopByHop(name string) bool {
	switch name {
	case "Alt-Svc", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// endToEnd copies the fields that may pass to the next hop: neither hop-by-hop
// ones, nor those that Connection names. The values are shared with src and
// must not be changed in place.
func endToEnd(dst, src http.Header) {
	named := src["Connection"]
	for name, values := range src {
		if !hopByHop(name) && (named == nil || !httpguts.HeaderValuesContainsToken(named, name)) {
			dst[name] = values
		}
	}
}

// trails reports whether a client's trailer goes upstream. What decides where a
// request goes, and whose it is, was decided by its header: such a field in the
// trailer is at best late (RFC 9110 section 6.5.1), and an upstream that merges
// the trailer into the header would act on it.
func trails(name string) bool {
	return httpguts.ValidTrailerHeader(name) && name != "Cookie" && !hopByHop(name) && !aboutClient(name)
}

// trailsBack reports whether a trailer of an upstream goes to the client, which
// could merge it into the header: neither what frames the answer, nor what
// stays on one connection, nor a cookie (RFC 9110 section 6.5.1). named are the
// lines of the answer's Connection.
func trailsBack(name string, named []string) bool {
	return httpguts.ValidTrailerHeader(name) && !hopByHop(name) && name != "Set-Cookie" && name != "Set-Cookie2" && !httpguts.HeaderValuesContainsToken(named, name)
}

// edits are HeaderEdits with canonical names.
type edits struct {
	remove   []string
	set, add map[string]string
}

func compileEdits(c *HeaderEdits) *edits {
	e := &edits{set: canonicalNames(c.Set), add: canonicalNames(c.Add)}
	for _, name := range c.Remove {
		e.remove = append(e.remove, http.CanonicalHeaderKey(name))
	}
	return e
}

// canonicalNames returns fields under the names that http.Header has them under.
func canonicalNames(fields map[string]string) map[string]string {
	named := make(map[string]string, len(fields))
	for name, value := range fields {
		named[http.CanonicalHeaderKey(name)] = value
	}
	return named
}

func (e *edits) empty() bool { return len(e.remove)+len(e.set)+len(e.add) == 0 }

// apply never changes a slice of values in place: it may be shared.
func (e *edits) apply(h http.Header) {
	for _, name := range e.remove {
		delete(h, name)
	}
	for name, value := range e.set {
		h[name] = []string{value}
	}
	for name, value := range e.add {
		h[name] = append(slices.Clip(h[name]), value)
	}
}

// editAnswers applies edits to the final answer of next, from the upstream or from us.
func editAnswers(next http.Handler, e *edits) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ew := &editWriter{ResponseWriter: w, edits: e}
		next.ServeHTTP(ew, r)
		ew.begin()
	})
}

// editWriter edits the header when it is about to leave.
type editWriter struct {
	http.ResponseWriter
	edits *edits
	begun bool
}

func (w *editWriter) begin() {
	if !w.begun {
		w.begun = true
		w.edits.apply(w.Header())
	}
}

func (w *editWriter) WriteHeader(status int) {
	if status >= 200 {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *editWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

func (w *editWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the rest. Edits of a 101 are the
// hijacker's.
func (w *editWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// trailerNames lists the announced trailers of an answer that pass, for a
// Trailer field, or "".
func trailerNames(resp *http.Response) string {
	if len(resp.Trailer) == 0 {
		return ""
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(resp.Trailer)), func(name string) bool { return !trailsBack(name, resp.Header["Connection"]) })
	return strings.Join(names, ", ")
}
