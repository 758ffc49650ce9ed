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
	old := s.Seal(in, []byte("inner"), now.Add(time.Minute))
	forever := s.Seal(in, nil, time.Time{})
	if err := s.Use([][]byte{key(2), key(1)}); err != nil {
		t.Fatal(err)
	}
	fresh := s.Seal(in, []byte("inner"), now.Add(time.Minute))
	for _, text := range []string{old, fresh} {
		if got, err := s.Open(in, text, now); err != nil || string(got) != "inner" {
			t.Errorf("%q, %v", got, err)
		}
		for _, other := range []Scope{{"x", "p", "m"}, {"r", "x", "m"}, {"r", "p", "x"}} {
			if _, err := s.Open(other, text, now); err == nil {
				t.Errorf("opens as %v", other)
			}
		}
		if _, err := s.Open(in, text, now.Add(2*time.Minute)); err == nil {
			t.Error("opens after its time")
		}
		if _, err := s.Open(in, text[:len(text)-2], now); err == nil {
			t.Error("opens when it is cut")
		}
	}
	if _, err := s.Open(in, forever, now.Add(1000*time.Hour)); err != nil {
		t.Errorf("one without end: %v", err)
	}
	id := s.SealSame(in, []byte("id"))
	if got, err := s.Open(in, id, now); err != nil || string(got) != "id" {
		t.Errorf("%q, %v", got, err)
	}
	if id != s.SealSame(in, []byte("id")) || id == s.SealSame(in, []byte("ie")) || id == s.SealSame(Scope{"r", "x", "m"}, []byte("id")) {
		t.Error("ids are not the same where they should be, or are where they should not")
	}
	if err := s.Use([][]byte{key(2)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(in, old, now); err == nil {
		t.Error("opens without its key")
	}
	if err := s.Use([][]byte{key(3)[:31]}); err == nil {
		t.Error("a short key is taken")
	}
}
