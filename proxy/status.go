package proxy

import (
	"encoding/hex"
	"os"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// Status describes the present moment for the admin API.
func (g *Gateway) Status() admin.Status {
	s := admin.Status{
		Version: g.options.Version, PID: os.Getpid(), Started: g.started, Config: g.options.Path, Ready: g.shared.ready.Load(),
		Listeners: []admin.Listener{}, Clusters: []admin.Cluster{}, Certs: []admin.Certificate{}, Draining: []admin.Drain{},
	}
	for _, st := range g.shared.hub.Stats() {
		s.Sessions += st.Sessions
		s.Streams += st.Streams
	}
	s.Memory = memoryStatus(g.shared.budget)
	s.LastReload = g.reloader.last.Load()
	gen, draining := g.shared.generations.serving()
	for _, old := range draining {
		d := admin.Drain{Generation: old.number, Since: old.retired, Requests: old.requests()}
		for _, server := range old.leaving {
			stats := server.Stats()
			d.Connections += stats.Connections
			d.Streams += stats.Streams
		}
		s.Draining = append(s.Draining, d)
	}
	if gen == nil || !gen.use() {
		return s
	}
	defer gen.done()
	s.Generation = admin.Generation{Number: gen.number, Applied: gen.applied, Sum: hex.EncodeToString(gen.snapshot.Sum[:])}
	for _, l := range gen.served {
		stats := l.server.Stats()
		s.Listeners = append(s.Listeners, admin.Listener{
			Name: l.config.Name, Address: l.socket.Addr().String(), TLS: l.config.TLS != nil,
			Connections: stats.Connections, Streams: stats.Streams,
		})
	}
	leftOut := g.shared.hub.LeftOut()
	for _, c := range gen.clusters.All() {
		cluster := admin.Cluster{Name: c.Name(), Endpoints: []admin.Endpoint{}}
		for _, e := range c.Endpoints() {
			if e.Healthy() {
				cluster.Healthy++
			}
			cluster.Endpoints = append(cluster.Endpoints, endpointStatus(e))
		}
		for _, d := range leftOut[c.Name()] {
			cluster.LeftOut = append(cluster.LeftOut, admin.LeftOut{Kind: d.Kind, Name: d.Name, Reason: d.Reason})
		}
		s.Clusters = append(s.Clusters, cluster)
	}
	for _, c := range gen.certificatesNow(g.shared.acme) {
		s.Certs = append(s.Certs, c.Certificate)
	}
	return s
}

func endpointStatus(e *clusters.Endpoint) admin.Endpoint {
	s := e.Status()
	url := ""
	if u := e.URL(); u != nil {
		url = u.Redacted()
	}
	failed := ""
	if s.LastError != nil {
		failed = s.LastError.Error()
	}
	return admin.Endpoint{
		URL: url, Address: s.Address, Healthy: s.Health.Good(), Health: s.Health.String(), Error: failed, Active: s.Active,
		Processes: s.Processes, MaxProcesses: s.MaxProcesses, Waiting: s.Waiting, Protocol: s.Protocol,
	}
}

// memoryStatus is what operators see of the budget.
func memoryStatus(b *memory.Budget) admin.Memory {
	s := b.Stats()
	m := admin.Memory{Limit: s.Limit, Pressure: s.Pressure, Ratio: s.Ratio(), Level: b.Level().String(), Charged: map[string]int64{}}
	for _, k := range memory.Kinds() {
		m.Charged[k.String()] = s.Charged[k]
	}
	return m
}
