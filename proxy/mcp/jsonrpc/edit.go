package jsonrpc

import "slices"

// Edits are changes to a document that is otherwise kept byte for byte. The
// zero Edits change nothing. They only note what is to be done; Apply does it,
// on a copy.
//
// An edit of a value that does not exist, or that is of another document than
// the one Apply is given, does nothing. Where two edits meet, the outer wins
// over what lies within it, and the later over the earlier of the same value.
// New bytes are taken as they are and must be valid JSON.
type Edits struct {
	list []edit
}

// edit is one noted change: of the value at, or of its member key.
type edit struct {
	at     Value
	action action
	key    string
	raw    []byte
}

type action uint8

const (
	replaceValue action = iota
	setMember
	deleteMember
)

// Replace puts raw in the place of v.
func (e *Edits) Replace(v Value, raw []byte) {
	if v.Exists() && raw != nil {
		e.list = append(e.list, edit{at: v, action: replaceValue, raw: raw})
	}
}

// ReplaceString puts the string s in the place of v.
func (e *Edits) ReplaceString(v Value, s string) { e.Replace(v, AppendString(nil, s)) }

// Set gives the object a member with this value: in the place of the one that
// has the key, else at the end. Null becomes an object; other kinds are left
// alone.
func (e *Edits) Set(object Value, key string, raw []byte) {
	if k := object.Kind(); raw != nil && (k == Object || k == Null) {
		e.list = append(e.list, edit{object, setMember, key, raw})
	}
}

// SetString gives the object a member that is the string s, as Set does.
func (e *Edits) SetString(object Value, key, s string) { e.Set(object, key, AppendString(nil, s)) }

// Delete removes the member with the key from the object.
func (e *Edits) Delete(object Value, key string) {
	if object.Kind() == Object {
		e.list = append(e.list, edit{at: object, action: deleteMember, key: key})
	}
}

// SetID gives m the id. A notification has none and is left alone.
func (e *Edits) SetID(m *Message, id ID) {
	if m.kind != Notification {
		e.Set(m.envelope, "id", []byte(id.Raw()))
	}
}

// SetMeta sets a member of _meta in params (of a request or notification) or
// in result, each made when it is missing. An error has no _meta and is left
// alone.
func (e *Edits) SetMeta(m *Message, key string, raw []byte) {
	object, name := m.params, "params"
	if m.kind == Response {
		object, name = m.result, "result"
	}
	switch {
	case m.IsError():
	case object.Exists():
		e.SetPath(object, raw, "_meta", key)
	default:
		e.SetPath(m.envelope, raw, name, "_meta", key)
	}
}

// SetPath gives the object a member as Set does, at the end of a path of objects, each
// made when it is missing. An earlier edit may have made some of them.
func (e *Edits) SetPath(object Value, raw []byte, path ...string) {
	key, rest := path[0], path[1:]
	if inner := object.Get(key); len(rest) > 0 && inner.Exists() {
		e.SetPath(inner, raw, rest...)
		return
	}
	i := slices.IndexFunc(e.list, func(o edit) bool {
		return o.action == setMember && o.key == key && o.at.same(object)
	})
	if len(rest) > 0 && i >= 0 {
		if made, err := ParseValue(e.list[i].raw); err == nil {
			var inner Edits
			inner.SetPath(made, raw, rest...)
			e.list[i].raw = inner.ApplyTo(made)
		}
		return
	}
	if raw == nil {
		return
	}
	for _, key := range slices.Backward(rest) {
		raw = append(append(append(AppendString([]byte{'{'}, key), ':'), raw...), '}')
	}
	e.Set(object, key, raw)
}

// Apply returns m's bytes with the edits made. Without edits these are m's own.
func (e *Edits) Apply(m *Message) []byte { return e.ApplyTo(m.envelope) }
