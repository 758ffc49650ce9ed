package mcp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func limits(events int) Resume { return Resume{Events: events, Bytes: 1 << 20, Age: time.Minute} }

// written begins a stream whose reader has written n messages, and has gone.
func written(t *testing.T, r *replay, standing bool, n int) *stream {
	t.Helper()
	st := newStream(true, true, 1<<20)
	st.replay, st.primes, st.standing = r, true, standing
	_, stop := st.reader()
	if id := st.prime(); !strings.HasSuffix(id, "-0") {
		t.Fatalf("it begins with %q", id)
	}
	for i := range n {
		st.send(fmt.Append(nil, i))
		if p, ok := st.next(stop, true); !ok || string(p.msg) != fmt.Sprint(i) || p.id != eventID(st.track.id, i+1) {
			t.Fatalf("message %d: %+v", i, p)
		}
	}
	st.leave(stop)
	return st
}

// rest reads what a new reader gets after pos, as one string.
func rest(st *stream, pos int) string {
	if err := st.resume(pos); err != nil {
		return err.Error()
	}
	_, stop := st.reader()
	defer st.leave(stop)
	var all strings.Builder
	for {
		p, ok := st.next(stop, true)
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
		r := newReplay(limits(100), nil)
		st := written(t, r, true, 3)
		time.Sleep(time.Minute - time.Nanosecond)
		if got := rest(st, 1); got != "12" {
			t.Errorf("in time: %s", got)
		}
		time.Sleep(time.Nanosecond)
		r.expire(time.Now())
		if r.bytes != 0 || r.events != nil {
			t.Errorf("%d bytes, %d events are kept", r.bytes, len(r.events))
		}
		if got := rest(st, 1); got != errEvicted.Error() {
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
		r := newReplay(limits(100), nil)
		st := written(t, r, false, 1)
		time.Sleep(time.Hour) // the call runs on, however long the client is away
		r.expire(time.Now())
		if r.find(st.track.id) != st {
			t.Fatal("the stream of a running call is forgotten")
		}
		st.send([]byte("x"))
		st.finish(200, []byte("y"))
		for range 2 { // the first time, the connection may break again
			if got := rest(st, 1); got != "xy." {
				t.Errorf("resumed: %s", got)
			}
		}
		if got := rest(st, 0); got != errEvicted.Error() {
			t.Errorf("from the beginning: %s", got)
		}
		time.Sleep(time.Minute)
		r.expire(time.Now())
		if r.find(st.track.id) != nil {
			t.Error("a stream of which nothing is kept is remembered")
		}
	})
}

func TestKeptEventsAreBoundedByCountAndBytes(t *testing.T) {
	for name, l := range map[string]Resume{
		"count": limits(3),
		"bytes": {Events: 100, Bytes: 3 * (1 + messageCost), Age: time.Hour},
	} {
		r := newReplay(l, nil)
		old, st := written(t, r, true, 2), written(t, r, true, 3)
		if len(r.events) != 3 {
			t.Errorf("%s: %d events are kept", name, len(r.events))
		}
		if got := rest(old, 1); got != errEvicted.Error() {
			t.Errorf("%s: what was evicted: %s", name, got)
		}
		if got := rest(st, 0); got != "012" {
			t.Errorf("%s: what was not: %s", name, got)
		}
		r.follow(Resume{})
		if len(r.events) != 0 || r.bytes != 0 || r.on() {
			t.Errorf("%s: turned off, it keeps %d events", name, len(r.events))
		}
	}
}

func TestStreamsThatNobodyReadsAreForgotten(t *testing.T) {
	r := newReplay(limits(10), nil)
	first := written(t, r, true, 0)
	for range 10 * oldStreams {
		written(t, r, true, 0)
	}
	if len(r.tracks) != oldStreams || r.find(first.track.id) != nil {
		t.Errorf("%d streams are remembered", len(r.tracks))
	}
	for range 10 * oldStreams {
		written(t, r, false, 0).finish(200, []byte("y"))
	}
	if n := len(r.tracks); n > oldStreams+10 {
		t.Errorf("%d streams are remembered", n)
	}
	r.close()
	if st := written(t, r, true, 1); len(r.events) != 0 || !errors.Is(st.resume(0), errUnknownEvent) {
		t.Error("a session that has ended keeps events")
	}
}

func TestSlowReaderOfACallMayFetchTheRest(t *testing.T) {
	r := newReplay(limits(100), nil)
	st := written(t, r, false, 0)
	if err := st.resume(0); err != nil {
		t.Fatal(err)
	}
	_, stop := st.reader()
	st.bytes = 3 * (1 + messageCost)
	for i := range 5 {
		if !st.send(fmt.Append(nil, i)) {
			t.Errorf("message %d is refused", i)
		}
	}
	select {
	case <-stop:
	default:
		t.Fatal("the slow reader is still there")
	}
	st.finish(200, []byte("y"))
	if got := rest(st, 0); got != "01234y." {
		t.Error(got)
	}
}

func TestNewReaderReplacesTheOldOne(t *testing.T) {
	r := newReplay(limits(100), nil)
	st := written(t, r, false, 2)
	if err := st.resume(2); err != nil {
		t.Fatal(err)
	}
	_, old := st.reader()
	st.send([]byte("x"))
	if err := st.resume(1); err != nil {
		t.Fatal(err)
	}
	_, stop := st.reader()
	if _, ok := st.next(old, true); ok {
		t.Error("the old reader goes on")
	}
	st.leave(old)
	st.send([]byte("y"))
	var got strings.Builder
	for p, ok := st.next(stop, true); ok; p, ok = st.next(stop, true) {
		got.Write(p.msg)
	}
	if got.String() != "1xy" {
		t.Error(got.String())
	}
}
