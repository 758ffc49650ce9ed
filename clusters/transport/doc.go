// Package transport carries HTTP requests to one server: over HTTP/1.1, HTTP/2 or
// HTTP/3, on connections that a Pool keeps.
//
// Every connection is made by a dialer (conndial.go, http3quic.go), and so shows
// the client certificate of its Connector. The connections of a Pool live in
// connection sets, each of which ends as a whole: after max_connection_age, at the
// certificate's NotAfter, or when its server has gone silent. An exchange is one
// request from before its connection is chosen until its response body is closed;
// it knows the names of its cluster and endpoint, and tells the user of the Pool
// when it is over.
//
// HTTP/1.1 and HTTP/2 are net/http's, HTTP/3 is quic-go's. What stands here is what
// they leave open: which requests share a connection (http2lanes.go, flow.go), what
// may be sent again (repeat.go), how a dead peer is found (http1closed.go,
// http2silence.go, http3conn.go), what an error means (explain.go, malformed.go).
//
// All methods of Pool and Connector are safe for concurrent use. Lock order: Pool →
// connection set; the locks of exchanges, flows, lanes and HTTP/3 transports are
// taken with neither of the two held, but for a set that is made with its Pool's
// held.
package transport
