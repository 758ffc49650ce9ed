package filter

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// RetryAfter is when a client for which there is no room may try again, in
// seconds.
const RetryAfter = "5"

// WriteError answers a request in place of an upstream:
//
//	{"error":{"code":"no_healthy_upstream","message":"…"}}
//
// code is for programs, message for people; neither may hold anything that the
// client must not know, such as an upstream's address. It must be called
// before anything was written; header fields that are already set stay.
func WriteError(w http.ResponseWriter, status int, code, message string) {
	b, _ := json.Marshal(map[string]map[string]string{"error": {"code": code, "message": message}}) // strings always encode
	b = append(b, '\n')
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that is gone needs no answer
}
