// Package filter holds what stands before a route's action: who is asking
// (Auth, Principal), what is written down about it (AccessLog, RequestInfo, Entry)
// and how a locally made answer looks (WriteError).
//
// An Auth owns the goroutine that keeps its JWKS fresh; Close ends it.
// Everything here may be used by any number of requests at once. A RequestInfo
// belongs to one request and may be filled by all goroutines that work on it.
package filter
