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

// rotate gives the newest generation the identities of now. It does not read
// the file: no operator has asked for an edit to go live, and one that is wrong must
// not let an identity expire.
func (r *reloader) rotate(ctx context.Context) admin.Outcome {
	r.again = nil
	cur := r.shared.generations.newest()
	o := admin.Outcome{Trigger: rotation, Warnings: texts(cur.snapshot.Warnings)}
	err := r.apply(ctx, &o, cur.file, cur.snapshot)
	if o.Result == admin.Unchanged {
		return o // a reload was faster, and has reported it
	}
	r.conclude(&o, err)
	r.notify.status(o)
	return o
}

// rotateLater has the identities looked at again after a rejection, since a Workload
// API announces each identity only once: one whose rotation was rejected is not
// announced again, nor one that a rejected reload was the first to see.
func (r *reloader) rotateLater(o *admin.Outcome, cur *Generation) {
	switch {
	case o.Result != admin.Rejected:
		r.again = nil
	case r.again == nil && len(cur.file.spiffeSockets()) > 0:
		r.again = time.After(r.rotateAgainAfter)
	}
}
