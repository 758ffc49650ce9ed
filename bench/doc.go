// Command bench measures what a proxy costs: CPU time per request, its own and
// the upstream's apart, latency, and memory for each client that is idle. In one
// run, with the same upstream and the same load, it compares the upstream alone,
// nginx, Envoy, a loop that does nothing but pass messages on (floor), the gateway
// as a plain proxy, and the gateway as an MCP gateway, each with mutual TLS on
// both sides.
//
// Each proxy and the upstream is a process of its own, on addresses that the
// kernel picks; this process makes the load. The cases take turns in each round,
// so that other work of the machine slows all of them; the report has the medians
// over the rounds, and for comparisons the median of the ratios of each round.
package main
