package clusters

import "net/http"

// staleWords are those of the error, which net/http does not export, of a
// request that met a connection which the server closed while it was idle.
// The end of the connection was read before the request was registered on it,
// so that nothing of it was sent; net/http repeats it for idempotent methods
// only.
const staleWords = "http: server closed idle connection"

// staleTries bounds how many such connections one request may meet.
const staleTries = 3

// pastStale makes a round trip, and repeats it, whatever the method, while it
// meets connections that were closed before it could be sent. A body that
// cannot be had again is not repeated.
func pastStale(transport http.RoundTripper, req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		res, err := transport.RoundTrip(req)
		if err == nil || err.Error() != staleWords || try == staleTries {
			return res, err
		}
		if req.Body != nil && req.Body != http.NoBody {
			if req.GetBody == nil {
				return nil, err
			}
			body, bodyErr := req.GetBody()
			if bodyErr != nil {
				return nil, err
			}
			again := *req
			again.Body = body
			req = &again
		}
	}
}
