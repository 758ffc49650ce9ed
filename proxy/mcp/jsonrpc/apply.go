package jsonrpc

import (
	"cmp"
	"slices"
)

// ApplyTo returns v's bytes with those edits made that lie within v, which may
// be a whole document or one value of it, such as one tool of a list.
func (e *Edits) ApplyTo(v Value) []byte {
	if !v.Exists() {
		return nil
	}
	var r renderer
	grown := v.end - v.start
	for _, o := range e.list {
		if o.at.within(v) {
			r.edits = append(r.edits, o)
			grown += len(o.key) + len(o.raw) + 4
		}
	}
	if len(r.edits) == 0 {
		return v.Raw()
	}
	slices.SortStableFunc(r.edits, func(a, b edit) int { return cmp.Compare(a.at.start, b.at.start) })
	r.out = make([]byte, 0, grown)
	r.value(v)
	return r.out
}

// within reports whether v is outer or a part of it.
func (v Value) within(outer Value) bool {
	return len(v.doc) == len(outer.doc) && &v.doc[0] == &outer.doc[0] && outer.start <= v.start && v.end <= outer.end
}

func (v Value) same(o Value) bool { return v.within(o) && o.within(v) }

// renderer writes a document with its edits. It walks only into values that
// have an edit within.
type renderer struct {
	edits []edit // by start, then in the order they were noted
	out   []byte
}

func (r *renderer) copy(v Value, start, end int) { r.out = append(r.out, v.doc[start:end]...) }

// below returns the edits of values that begin in [start, end).
func (r *renderer) below(start, end int) []edit {
	position := func(o edit, at int) int { return cmp.Compare(o.at.start, at) }
	first, _ := slices.BinarySearchFunc(r.edits, start, position)
	last, _ := slices.BinarySearchFunc(r.edits, end, position)
	return r.edits[first:last]
}

func (r *renderer) value(v Value) {
	edits := r.below(v.start, v.end)
	if len(edits) == 0 {
		r.copy(v, v.start, v.end)
		return
	}
	// Values are nested, never crossed: an edit that begins where v begins is
	// an edit of v.
	own := r.below(v.start, v.start+1)
	for _, o := range slices.Backward(own) {
		if o.action == replaceValue {
			r.out = append(r.out, o.raw...)
			return
		}
	}
	switch v.Kind() {
	case Object:
		r.object(v, own)
	case Array:
		r.array(v)
	case Null:
		r.object(Value{[]byte("{}"), 0, len("{}")}, own)
	}
}

func (r *renderer) array(v Value) {
	at := v.start
	for element := range (walker{v.doc, v.start}).elements {
		r.copy(v, at, element.start)
		r.value(element)
		at = element.end
	}
	r.copy(v, at, v.end)
}

func (r *renderer) object(v Value, own []edit) {
	r.out = append(r.out, '{')
	end := v.start + 1 // of the last member
	lead := -1         // where the space before the first member ends
	kept := false
	done := make([]bool, len(own))
	for key, member := range (walker{v.doc, v.start}).members {
		begin := key.start - 1
		if lead < 0 {
			lead = begin
		}
		last := -1 // the edit that counts
		for i, o := range own {
			if key.is(v.doc, o.key) {
				done[i], last = true, i
			}
		}
		if last < 0 || own[last].action == setMember {
			// What stands before a member goes with it: a comma too, unless
			// it becomes the first.
			if kept {
				r.copy(v, end, begin)
			} else {
				r.copy(v, v.start+1, lead)
			}
			kept = true
			r.copy(v, begin, member.start)
			if last < 0 {
				r.value(member)
			} else {
				r.out = append(r.out, own[last].raw...)
			}
		}
		end = member.end
	}
	for i, o := range own {
		if done[i] {
			continue
		}
		for j, later := range own[i+1:] {
			if later.key == o.key {
				o, done[i+1+j] = later, true
			}
		}
		if o.action != setMember {
			continue
		}
		if kept {
			r.out = append(r.out, ',')
		}
		kept = true
		r.out = append(AppendString(r.out, o.key), ':')
		r.out = append(r.out, o.raw...)
	}
	r.copy(v, end, v.end)
}
