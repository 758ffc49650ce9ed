// Package clusters chooses where requests go: sets of clusters, endpoints and their
// addresses, balancing, retries, health. Connections are made by clusters/transport,
// the child processes of stdio servers run by clusters/process.
//
// A Set holds one generation's clusters. NewSet prepares it beside the one
// that serves, Commit puts it in force, Release drops it. What did not change
// is carried over: an unchanged Cluster as it is; in a changed one every
// Endpoint whose way to connect is the same, with its pool; and where the pool
// has to be new, what is known about the same endpoint, so that health and
// counters change by observation only, never by a reload.
//
// Every byte to an upstream passes through the pool of an Endpoint, and every
// connection of a pool is made by the dialer of clusters/transport: health
// checks, calls, streams, upgrades and retries cannot help but show the
// cluster's client certificate.
//
// # Which endpoints get traffic
//
// An endpoint with active health checks is "warming" until its first verdict:
// one success makes it healthy, unhealthy_threshold failures in a row
// unhealthy. Pick prefers healthy endpoints; a warming one is picked only when
// there is no healthy one, which matters to a generation that was committed
// before its endpoints were checked, and to a name whose addresses all
// changed. An unhealthy endpoint is never picked: a cluster that has no other
// answers ErrNoHealthyUpstream at once. Without health checks every endpoint
// counts as healthy. In either case one that could not be connected to is
// avoided for a moment, while there are others.
//
// # Concurrency
//
// All methods of Cluster and Endpoint are safe for concurrent use. Lock order:
// Cluster, then its checks, then what is known about an Endpoint.
// NewSet, Warm, Commit and Release of sets that follow each other are called by
// one goroutine at a time; they never block requests.
package clusters
