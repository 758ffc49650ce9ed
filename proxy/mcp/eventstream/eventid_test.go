package eventstream

import "testing"

func FuzzEventID(f *testing.F) {
	for _, id := range []string{eventID("ABC", 7), "", "-", "A-", "A--1", "A-01", "a-b-3", "A-99999999999999999999"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if stream, pos, ok := parseEventID(id); ok && (pos < 0 || eventID(stream, pos) != id) {
			t.Errorf("%q is read as %q, %d", id, stream, pos)
		}
	})
}
