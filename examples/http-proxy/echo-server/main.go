// Command echo-server is a sample HTTP server: it answers with what it received,
// and under /flaky fails every other time.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/examples/internal/sample"
)

func main() {
	address := flag.String("address", "localhost:9002", "host:port to serve")
	flag.Parse()
	ctx, stop := sample.Signals()
	defer stop()

	server := &http.Server{Addr: *address, Handler: handler(), ReadHeaderTimeout: 10 * time.Second}
	if err := sample.Run(ctx, server, server.ListenAndServe); err != nil {
		fmt.Fprintln(os.Stderr, "echo-server:", err)
		os.Exit(1)
	}
}

func handler() http.Handler {
	mux := http.NewServeMux()
	var calls atomic.Int64
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1)%2 == 1 {
			http.Error(w, "not this time", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "this time")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Server", "echo-server/1.0")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"method": r.Method, "path": r.URL.Path, "host": r.Host, "headers": r.Header,
		})
	})
	return mux
}
