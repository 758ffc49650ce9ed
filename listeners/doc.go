// Package listeners owns the sockets that clients connect to, the protocol
// servers behind them, and how their connections end.
//
// A Socket belongs to the process: one acceptor an address hands each
// connection to the Server that serves the socket now, so a listener's
// definition changes without its port ever closing. The UDP side of an address,
// for HTTP/3, does the same with each first packet; it outlives the Socket for
// as long as a connection is open, and a Socket that is bound there again takes
// it over.
//
// A Server belongs to a generation; it is retired connection by connection (see
// Server.Drain), never by http.Server.Shutdown, which closes idle HTTP/1.1
// connections at once and loses the request that crosses on the wire.
//
// All exported methods are safe for concurrent use. An idle connection costs
// one goroutine (HTTP/1.1), two (HTTP/2) or five (HTTP/3). Server.Done is closed
// when nothing of a server runs any more: no connection, handshake, handler or
// goroutine.
//
// Locks are taken in this order: those of a Socket or of its UDP side, of the
// connections of a Server, of the lifetime of a Conn, of the places of a socket.
package listeners
