package mcp

import (
	"bytes"
	"testing"
	"time"
)

func TestSealedValuesOpenWhereTheyBelong(t *testing.T) {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, MinStateKey) }
	s, err := newSealer([][]byte{key(1)})
	if err != nil {
		t.Fatal(err)
	}
	in, now := scope{"r", "p", "m"}, time.Now()
	old := s.seal(in, []byte("inner"), now.Add(time.Minute))
	forever := s.seal(in, nil, time.Time{})
	if err := s.use([][]byte{key(2), key(1)}); err != nil {
		t.Fatal(err)
	}
	fresh := s.seal(in, []byte("inner"), now.Add(time.Minute))
	for _, text := range []string{old, fresh} {
		if got, err := s.unseal(in, text, now); err != nil || string(got) != "inner" {
			t.Errorf("%q, %v", got, err)
		}
		for _, other := range []scope{{"x", "p", "m"}, {"r", "x", "m"}, {"r", "p", "x"}} {
			if _, err := s.unseal(other, text, now); err == nil {
				t.Errorf("opens as %v", other)
			}
		}
		if _, err := s.unseal(in, text, now.Add(2*time.Minute)); err == nil {
			t.Error("opens after its time")
		}
		if _, err := s.unseal(in, text[:len(text)-2], now); err == nil {
			t.Error("opens when it is cut")
		}
	}
	if _, err := s.unseal(in, forever, now.Add(1000*time.Hour)); err != nil {
		t.Errorf("one without end: %v", err)
	}
	id := s.sealSame(in, []byte("id"))
	if got, err := s.unseal(in, id, now); err != nil || string(got) != "id" {
		t.Errorf("%q, %v", got, err)
	}
	if id != s.sealSame(in, []byte("id")) || id == s.sealSame(in, []byte("ie")) || id == s.sealSame(scope{"r", "x", "m"}, []byte("id")) {
		t.Error("ids are not the same where they should be, or are where they should not")
	}
	if err := s.use([][]byte{key(2)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.unseal(in, old, now); err == nil {
		t.Error("opens without its key")
	}
	if err := s.use([][]byte{key(3)[:31]}); err == nil {
		t.Error("a short key is taken")
	}
}
