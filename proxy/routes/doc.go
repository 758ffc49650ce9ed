// Package routes decides which action serves a request, and holds the actions
// that are plain HTTP, such as cluster, the reverse proxy; action.go lists all.
//
// A Router is one generation's routes. It is immutable but for the counts of
// what it shares with the Router before it, and serves any number of requests
// at once. Requests that were begun by a Router may go on after its Close.
//
// A request passes, in this order: the edge checks, which refuse what two
// servers could read in two ways; the matching, in file order; the route's
// auth; its action.
package routes
