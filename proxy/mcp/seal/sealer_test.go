package seal

import (
	"bytes"
	"testing"
	"time"
)

func TestSealedValuesOpenWhereTheyBelong(t *testing.T) {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, MinKey) }
	s, err := New([][]byte{key(1)})
	if err != nil {
		t.Fatal(err)
	}
	in, now := Scope{"r", "p", "m"}, time.Now()
	old := s.seal(in, []byte("inner"), now.Add(time.Minute))
	forever := s.seal(in, nil, time.Time{})
	if err := s.Use([][]byte{key(2), key(1)}); err != nil {
		t.Fatal(err)
	}
	fresh := s.seal(in, []byte("inner"), now.Add(time.Minute))
	for _, text := range []string{old, fresh} {
		if got, ok := s.open(in, text, now); !ok || string(got) != "inner" {
			t.Errorf("%q, %t", got, ok)
		}
		for _, other := range []Scope{{"x", "p", "m"}, {"r", "x", "m"}, {"r", "p", "x"}} {
			if _, ok := s.open(other, text, now); ok {
				t.Errorf("opens as %v", other)
			}
		}
		if _, ok := s.open(in, text, now.Add(2*time.Minute)); ok {
			t.Error("opens after its time")
		}
		if _, ok := s.open(in, text[:len(text)-2], now); ok {
			t.Error("opens when it is cut")
		}
	}
	if _, ok := s.open(in, forever, now.Add(1000*time.Hour)); !ok {
		t.Error("one without end does not open")
	}
	id := s.sealSame(in, []byte("id"))
	if got, ok := s.open(in, id, now); !ok || string(got) != "id" {
		t.Errorf("%q, %t", got, ok)
	}
	if id != s.sealSame(in, []byte("id")) || id == s.sealSame(in, []byte("ie")) || id == s.sealSame(Scope{"r", "x", "m"}, []byte("id")) {
		t.Error("ids are not the same where they should be, or are where they should not")
	}
	if err := s.Use([][]byte{key(2)}); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.open(in, old, now); ok {
		t.Error("opens without its key")
	}
	if err := s.Use([][]byte{key(3)[:31]}); err == nil {
		t.Error("a short key is taken")
	}
}
