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

// SetMethod gives m the method. A response has none and is left alone.
func (e *Edits) SetMethod(m *Message, method string) { e.ReplaceString(m.methodValue, method) }

// SetMeta sets a member of _meta in params (of a request or notification) or
// in result, each made when it is missing. An error has no _meta and is left
// alone.
func (e *Edits) SetMeta(m *Message, key string, raw []byte) {
	object, name := m.params, "params"
	if m.kind == Response {
		object, name = m.result, "result"
	}
	switch meta := object.Get("_meta"); {
	case raw == nil || m.IsError():
	case meta.Exists():
		e.Set(meta, key, raw)
	case object.Exists():
		e.grow(object, []string{"_meta", key}, raw)
	default:
		e.grow(m.envelope, []string{name, "_meta", key}, raw)
	}
}

// grow sets a member at the end of a path of objects of which none but the
// outermost is in the document. An earlier edit may have made some of them.
func (e *Edits) grow(object Value, path []string, raw []byte) {
	i := slices.IndexFunc(e.list, func(o edit) bool {
		return o.action == setMember && o.key == path[0] && o.at.same(object)
	})
	if i < 0 {
		for _, key := range slices.Backward(path[1:]) {
			raw = append(append(append(AppendString([]byte{'{'}, key), ':'), raw...), '}')
		}
		e.Set(object, path[0], raw)
		return
	}
	made, err := ParseValue(e.list[i].raw)
	if err != nil {
		return // the caller's bytes, which were no JSON
	}
	var inner Edits
	rest := path[1:]
	for len(rest) > 1 && made.Get(rest[0]).Exists() {
		made, rest = made.Get(rest[0]), rest[1:]
	}
	if len(rest) > 1 {
		inner.grow(made, rest, raw)
	} else {
		inner.Set(made, rest[0], raw)
	}
	whole := Value{made.doc, 0, len(made.doc)}
	e.list[i].raw = inner.ApplyTo(whole)
}

// Empty reports whether there is nothing to do.
func (e *Edits) Empty() bool { return len(e.list) == 0 }

// Apply returns m's bytes with the edits made. Without edits these are m's own.
func (e *Edits) Apply(m *Message) []byte { return e.ApplyTo(m.envelope) }
