package proxy

import (
	"context"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// rotation is the trigger of generations that differ from the one before by
// what the Workload APIs delivered.
const rotation = "Workload API"

// rotateAgainAfter is how long after a rejection it is looked whether a
// rotation is due.
const rotateAgainAfter = 10 * time.Second

// rotate gives the current generation the identities of now. It does not read
// the file: no operator has asked for an edit to go live, and one that is wrong must
// not let an identity expire.
func (g *Gateway) rotate(ctx context.Context) admin.Outcome {
	g.again = nil
	cur := g.current.Load()
	o := admin.Outcome{Trigger: rotation, Warnings: warnings(cur.snapshot)}
	err := g.put(ctx, &o, cur.file, cur.snapshot)
	if o.Result == admin.Unchanged {
		return o // a reload was faster, and has reported it
	}
	g.conclude(&o, err)
	g.options.Notify(statusOf(o))
	return o
}

// rotateLater has the identities looked at again after a rejection, since the
// Workload APIs tell only once: a rotation that was rejected is not announced
// again, nor one that a rejected reload was the first to see.
func (g *Gateway) rotateLater(o *admin.Outcome, cur *Generation) {
	switch {
	case o.Result != admin.Rejected:
		g.again = nil
	case g.again == nil && len(cur.file.spiffeSockets()) > 0:
		g.again = time.After(g.rotateAgainAfter)
	}
}
