package mcp

import (
	"encoding/json"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// pageWriter makes a page of a merged list.
type pageWriter struct {
	s     *session
	c     *call
	kind  spec.List
	items []byte // with commas between
	count int
	seen  map[string]string // name as the client sees it: its cluster
}

func newPageWriter(s *session, kind spec.List, c *call) *pageWriter {
	return &pageWriter{s: s, c: c, kind: kind, seen: map[string]string{}}
}

// fill takes items, in the order of the file and of each server, until the
// page is full. It returns where the next page begins, nil at the end.
func (w *pageWriter) fill(all []drained, from seal.Position) *seal.Position {
	for i, d := range all {
		skip := 0
		if i == 0 {
			skip = from.Skip
		}
		for _, p := range d.pages {
			for n, item := range p.items {
				if n < skip {
					continue
				}
				if !w.add(d.ref, item) {
					at := p.at
					at.Skip = n
					return &at
				}
			}
			skip = 0
		}
		if d.next != nil {
			return d.next
		}
	}
	return nil
}

// add takes one item, unless the page is full.
func (w *pageWriter) add(ref ClusterRef, item jsonrpc.Value) bool {
	if !ref.serves(w.kind.Method, item.Get(w.kind.Key).String()) {
		return true
	}
	if w.count > 0 && (w.count >= pageItems || len(w.items)+len(item.Raw()) > pageBytes) {
		return false
	}
	var e jsonrpc.Edits
	name, own := w.s.of(ref).item(&e, w.kind, item)
	if !w.visible(ref, name, own) {
		return true
	}
	if w.count > 0 {
		w.items = append(w.items, ',')
	}
	w.items = append(w.items, e.ApplyTo(item)...)
	w.count++
	return true
}

// visible decides whether an item is shown, and reports what an operator
// should know about its name.
func (w *pageWriter) visible(ref ClusterRef, name, own string) bool {
	if w.kind.ID {
		return true
	}
	if w.kind.URI {
		if len(own) > 0 && own[0] == '{' {
			w.report(ref, name, "a template that begins with an expression may match URIs of other clusters")
		}
		return true
	}
	hide, warn := checkName(name)
	if owner, taken := w.seen[name]; taken && hide == "" {
		hide = "the name is taken by cluster " + owner
	} else if owner, ok := w.ownedBefore(ref, own); ok && hide == "" {
		hide = "the name is taken by cluster " + owner
	}
	if hide != "" {
		w.report(ref, name, "hidden: "+hide)
		return false
	}
	w.seen[name] = ref.Name
	if warn != "" {
		w.report(ref, name, warn)
	}
	return true
}

// ownedBefore finds, where names have no prefix, a cluster that stands before
// in the file and has the name: on an earlier page, or while it is down.
func (w *pageWriter) ownedBefore(ref ClusterRef, own string) (string, bool) {
	if w.s.naming.mode != "never" {
		return "", false
	}
	owner, ok := w.c.firstOwner(w.kind.Method, own)
	return owner.Name, ok && owner.Name != ref.Name
}

func (w *pageWriter) report(ref ClusterRef, name, reason string) {
	w.s.report(ref, w.kind, name, reason)
}

// result is the whole response.
func (w *pageWriter) result(next *seal.Position, missing []string, h hint) []byte {
	b := append(jsonrpc.AppendString([]byte{'{'}, w.kind.Member), ":["...)
	b = append(append(b, w.items...), ']')
	if next != nil {
		next.Public = h.public
		cursor := w.s.hub.seal.Cursor(w.s.scope(w.kind), *next, time.Now())
		b = jsonrpc.AppendString(append(b, `,"nextCursor":`...), cursor)
	}
	if w.s.modern() {
		b = h.append(append(b, `,"resultType":"complete",`...))
	}
	if len(missing) > 0 {
		names, _ := json.Marshal(missing) // strings always encode
		b = jsonrpc.AppendString(append(b, `,"_meta":{`...), unavailableKey)
		b = append(append(append(b, ':'), names...), '}')
	}
	return jsonrpc.NewResult(w.c.msg.ID(), append(b, '}'))
}
