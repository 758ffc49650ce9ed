package admin

import (
	"context"
	"fmt"
	"time"
)

// Source is the running gateway, as the API sees it.
type Source interface {
	// Status describes the present moment; it does no I/O.
	Status() Status
	// Reload loads the file and waits for the outcome of a reload that began
	// after the call. When ctx ends first the reload goes on all the same.
	Reload(ctx context.Context) (Outcome, error)
}

// Status is what GET /status answers and `mcpgateway status` prints.
type Status struct {
	Version    string        `json:"version"`
	PID        int           `json:"pid"`
	Started    time.Time     `json:"started"`
	Config     string        `json:"config"`
	Ready      bool          `json:"ready"`
	Generation Generation    `json:"generation"`
	LastReload *Outcome      `json:"last_reload,omitempty"`
	Memory     Memory        `json:"memory"`
	Listeners  []Listener    `json:"listeners"`
	Clusters   []Cluster     `json:"clusters"`
	Sessions   int           `json:"sessions"`
	Streams    int           `json:"streams"`
	Certs      []Certificate `json:"certificates"`
	Draining   []Drain       `json:"draining"`
}

// Generation names an applied state of the file.
type Generation struct {
	Number  uint64    `json:"number"`
	Applied time.Time `json:"applied"`
	// Sum is the SHA-256 of the file and all it names, in hex.
	Sum string `json:"sum"`
}

// Memory is how much of the memory that the process may use is taken, in bytes.
type Memory struct {
	// Limit is 0 where there is none.
	Limit int64 `json:"limit"`
	// Pressure is the greater of what is charged for peers and what is live.
	Pressure int64   `json:"pressure"`
	Ratio    float64 `json:"ratio"`
	// Level is normal, high (no new sessions and streams), severe (nor bodies
	// over 64 KiB) or critical (not ready).
	Level string `json:"level"`
	// Charged is by what it is for: connection, session, stream, body, answer,
	// event.
	Charged map[string]int64 `json:"charged"`
}

// Listener is one address that is served.
type Listener struct {
	Name        string `json:"name"`
	Address     string `json:"address"`
	TLS         bool   `json:"tls"`
	Connections int    `json:"connections"`
	Streams     int    `json:"streams"`
}

// Cluster is one cluster with its endpoints.
type Cluster struct {
	Name      string     `json:"name"`
	Healthy   int        `json:"healthy"`
	Endpoints []Endpoint `json:"endpoints"`
	// LeftOut are the definitions that its servers were last seen to list, and
	// that no client gets: MCP's schema refuses them.
	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// LeftOut is one tool, prompt, resource or template (Kind) that is left out.
type LeftOut struct {
	Kind string `json:"kind"`
	// Name is empty where the definition has none.
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Endpoint is one address of a cluster.
type Endpoint struct {
	URL     string `json:"url"`
	Address string `json:"address,omitempty"`
	// Healthy reports whether it takes traffic. One that is not checked does.
	Healthy bool `json:"healthy"`
	// Health is warming, healthy, unhealthy, unauthorized, unresolved, or
	// unchecked where there are no health checks.
	Health string `json:"health"`
	Error  string `json:"error,omitempty"`
	Active int    `json:"active"`
	// Processes of a command that run, and MaxProcesses that may; Waiting are
	// sessions that wait for one.
	Processes    int `json:"processes,omitempty"`
	MaxProcesses int `json:"max_processes,omitempty"`
	Waiting      int `json:"waiting,omitempty"`
	// Protocol is the revision of MCP that the last session with the server speaks,
	// which may be the health check's, and how that was found out.
	Protocol string `json:"protocol,omitempty"`
}

// Certificate is one certificate or revocation list in use.
type Certificate struct {
	// Use says where: "listener public", "cluster github, server CA", "acme".
	Use     string `json:"use"`
	Subject string `json:"subject"`
	Serial  string `json:"serial"`
	// NotAfter is the earliest end in the chain; of a revocation list, its next
	// update. Zero for a certificate that has not been obtained yet.
	NotAfter time.Time `json:"not_after"`
	// DaysLeft is rounded down; negative once it has expired.
	DaysLeft int `json:"days_left"`
	// Error says why there is no certificate yet, or no newer one.
	Error string `json:"error,omitempty"`
}

// Drain is an older generation that still serves.
type Drain struct {
	Generation  uint64    `json:"generation"`
	Since       time.Time `json:"since"`
	Connections int       `json:"connections"`
	Streams     int       `json:"streams"`
	Requests    int       `json:"requests"`
}

// Outcome is how one reload ended.
type Outcome struct {
	// Result is applied, unchanged or rejected.
	Result     string    `json:"result"`
	Trigger    string    `json:"trigger"`
	Time       time.Time `json:"time"`
	Generation uint64    `json:"generation"`
	// Summary is what was applied, in one line.
	Summary string `json:"summary,omitempty"`
	// Plan is what users notice of it, one thing a line.
	Plan []string `json:"plan,omitempty"`
	// Errors are all that was wrong with the file.
	Errors   []string `json:"errors,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Line is the outcome in one line, for the log and for systemctl status.
func (o Outcome) Line() string {
	switch o.Result {
	case Applied:
		return fmt.Sprintf("generation %d: %s", o.Generation, o.Summary)
	case Unchanged:
		return fmt.Sprintf("generation %d: unchanged", o.Generation)
	}
	first := ""
	if len(o.Errors) > 0 {
		first = ": " + o.Errors[0]
	}
	return fmt.Sprintf("generation %d serves on; reload rejected, %d errors%s", o.Generation, len(o.Errors), first)
}

// The values of Outcome.Result.
const (
	Applied   = "applied"
	Unchanged = "unchanged"
	Rejected  = "rejected"
)
