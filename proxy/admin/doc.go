// Package admin is what an operator looks at: the API behind admin.address
// (GET /status, POST /reload, GET /metrics), the metrics themselves, and the
// client with which the command line asks a running gateway.
//
// It declares the Source that the gateway implements, and knows nothing of
// generations. Everything in it is safe for concurrent use.
package admin
