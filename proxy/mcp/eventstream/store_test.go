package eventstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func limits(events int) Limits { return Limits{Events: events, Bytes: 1 << 20, Age: time.Minute} }

// written begins a stream whose reader has written n messages, and has gone.
func written(t *testing.T, r *Store, standing bool, n int) *Stream {
	t.Helper()
	kind := Call
	if standing {
		kind = Standing
	}
	st := New(Options{Kind: kind, Open: true, Eager: true, Bytes: 1 << 20, Store: r, Primes: true})
	reader := st.Reader()
	if id := st.prime(); !strings.HasSuffix(id, "-0") {
		t.Fatalf("it begins with %q", id)
	}
	for i := range n {
		st.Send(fmt.Append(nil, i))
		if p, ok := reader.next(true); !ok || string(p.msg) != fmt.Sprint(i) || p.id != eventID(st.track.id, i+1) {
			t.Fatalf("message %d: %+v", i, p)
		}
	}
	reader.Leave()
	return st
}

// found is what the store has under the id of the stream's first event.
func found(r *Store, st *Stream) *Stream {
	other, _, _ := r.Find(eventID(st.track.id, 0))
	return other
}

// rest reads what a new reader gets after pos, as one string.
func rest(st *Stream, pos int) string {
	reader, err := st.Resume(pos)
	if err != nil {
		return err.Error()
	}
	defer reader.Leave()
	var all strings.Builder
	for {
		p, ok := reader.next(true)
		if !ok {
			return all.String()
		}
		all.Write(p.msg)
		if p.last {
			return all.String() + "."
		}
	}
}

func TestKeptEventsAreBoundedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewStore(limits(100), nil)
		st := written(t, r, true, 3)
		time.Sleep(time.Minute - time.Nanosecond)
		if got := rest(st, 1); got != "12" {
			t.Errorf("in time: %s", got)
		}
		time.Sleep(time.Nanosecond)
		r.Expire(time.Now())
		if r.bytes != 0 || r.events != nil {
			t.Errorf("%d bytes, %d events are kept", r.bytes, len(r.events))
		}
		if got := rest(st, 1); got != ErrEvicted.Error() {
			t.Errorf("too late: %s", got)
		}
		// A client that has seen everything has lost nothing.
		if got := rest(st, 3); got != "" {
			t.Errorf("from the end: %s", got)
		}
	})
}

func TestAnswerOfABrokenCallIsKeptForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewStore(limits(100), nil)
		st := written(t, r, false, 1)
		time.Sleep(time.Hour) // the call runs on, however long the client is away
		r.Expire(time.Now())
		if found(r, st) != st {
			t.Fatal("the stream of a running call is forgotten")
		}
		st.Send([]byte("x"))
		st.Finish(200, []byte("y"))
		for range 2 { // the first time, the connection may break again
			if got := rest(st, 1); got != "xy." {
				t.Errorf("resumed: %s", got)
			}
		}
		if got := rest(st, 0); got != ErrEvicted.Error() {
			t.Errorf("from the beginning: %s", got)
		}
		time.Sleep(time.Minute)
		r.Expire(time.Now())
		if found(r, st) != nil {
			t.Error("a stream of which nothing is kept is remembered")
		}
	})
}

func TestKeptEventsAreBoundedByCountAndBytes(t *testing.T) {
	for name, l := range map[string]Limits{
		"count": limits(3),
		"bytes": {Events: 100, Bytes: 3 * (1 + MessageCost), Age: time.Hour},
	} {
		r := NewStore(l, nil)
		old, st := written(t, r, true, 2), written(t, r, true, 3)
		if len(r.events) != 3 {
			t.Errorf("%s: %d events are kept", name, len(r.events))
		}
		if got := rest(old, 1); got != ErrEvicted.Error() {
			t.Errorf("%s: what was evicted: %s", name, got)
		}
		if got := rest(st, 0); got != "012" {
			t.Errorf("%s: what was not: %s", name, got)
		}
		r.SetLimits(Limits{})
		if len(r.events) != 0 || r.bytes != 0 || r.Enabled() {
			t.Errorf("%s: turned off, it keeps %d events", name, len(r.events))
		}
	}
}

func TestStreamsWithoutReaderAreForgotten(t *testing.T) {
	r := NewStore(limits(10), nil)
	first := written(t, r, true, 0)
	for range 10 * oldStreams {
		written(t, r, true, 0)
	}
	if len(r.tracks) != oldStreams || found(r, first) != nil {
		t.Errorf("%d streams are remembered", len(r.tracks))
	}
	for range 10 * oldStreams {
		written(t, r, false, 0).Finish(200, []byte("y"))
	}
	if n := len(r.tracks); n > oldStreams+10 {
		t.Errorf("%d streams are remembered", n)
	}
	r.Close()
	st := written(t, r, true, 1)
	if _, err := st.Resume(0); len(r.events) != 0 || !errors.Is(err, ErrUnknownEvent) {
		t.Error("a session that has ended keeps events")
	}
}

func TestSlowReaderOfACallMayFetchTheRest(t *testing.T) {
	r := NewStore(limits(100), nil)
	st := written(t, r, false, 0)
	reader, err := st.Resume(0)
	if err != nil {
		t.Fatal(err)
	}
	st.opts.Bytes = 3 * (1 + MessageCost)
	for i := range 5 {
		if !st.Send(fmt.Append(nil, i)) {
			t.Errorf("message %d is refused", i)
		}
	}
	select {
	case <-reader.Stopped():
	default:
		t.Fatal("the slow reader is still there")
	}
	st.Finish(200, []byte("y"))
	if got := rest(st, 0); got != "01234y." {
		t.Error(got)
	}
}

func TestNewReaderReplacesTheOldOne(t *testing.T) {
	r := NewStore(limits(100), nil)
	st := written(t, r, false, 2)
	old, err := st.Resume(2)
	if err != nil {
		t.Fatal(err)
	}
	st.Send([]byte("x"))
	reader, err := st.Resume(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := old.next(true); ok {
		t.Error("the old reader goes on")
	}
	old.Leave()
	st.Send([]byte("y"))
	var got strings.Builder
	for p, ok := reader.next(true); ok; p, ok = reader.next(true) {
		got.Write(p.msg)
	}
	if got.String() != "1xy" {
		t.Error(got.String())
	}
}
