package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a destination that takes nothing until it is released.
type slow struct {
	released chan struct{}
	bytes.Buffer
}

func newSlow() *slow { return &slow{released: make(chan struct{})} }

func (s *slow) Write(p []byte) (int, error) {
	<-s.released
	return s.Buffer.Write(p)
}

// messages are the lines of a log by their message, and how many lines the log
// says were dropped.
func messages(t *testing.T, log string) (all []string, dropped int) {
	t.Helper()
	for line := range strings.Lines(log) {
		var l struct {
			Message string
			Dropped int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("torn: %q", line)
		}
		if dropped += l.Dropped; l.Dropped == 0 {
			all = append(all, l.Message)
		}
	}
	return all, dropped
}

func TestAStalledDestinationHoldsNoCallerAndIsToldWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, counted := newSlow(), 0
		l := New(out, func(n int) { counted += n })
		l.Logger().Info().Msg("first")
		synctest.Wait()
		text := strings.Repeat("x", 1<<10)
		const sent = 2 * roomOfReloads / (1 << 10)
		for range sent {
			l.Logger().Info().Msg(text)
		}
		for range sent {
			l.Logger().Error().Msg("error " + text)
		}
		l.ReloadLogger().Info().Msg("reloaded")
		close(out.released)
		synctest.Wait()
		got, dropped := messages(t, out.String())
		if got[0] != "first" || got[len(got)-1] != "reloaded" {
			t.Errorf("begins with %.20q, ends with %.20q", got[0], got[len(got)-1])
		}
		errs := 0
		for _, m := range got {
			if strings.HasPrefix(m, "error") {
				errs++
			}
		}
		if errs == 0 {
			t.Error("errors had no room")
		}
		if dropped == 0 || dropped != counted || dropped+len(got) != 2*sent+2 {
			t.Errorf("%d lines dropped by the log, %d counted, %d written", dropped, counted, len(got))
		}
		l.Logger().Info().Msg("again")
		l.Close()
		if got, told := messages(t, out.String()); got[len(got)-1] != "again" || told != dropped {
			t.Errorf("ends with %.20q, told of %d", got[len(got)-1], told)
		}
	})
}

func TestCloseWaitsTwoSecondsForAStalledDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, counted := newSlow(), 0
		l := New(out, func(n int) { counted += n })
		l.Logger().Info().Msg("first")
		synctest.Wait() // it is being written
		l.Swap(openSink(t, l, Config{}))
		l.Logger().Info().Msg("second")
		began := time.Now()
		l.Close()
		if d := time.Since(began); d != flushTimeout {
			t.Errorf("closed after %s", d)
		}
		if counted != 1 {
			t.Errorf("%d lines counted as dropped", counted)
		}
		close(out.released)
	})
}

// failing is a destination that fails from time to time, within a line.
type failing struct {
	bytes.Buffer
	take int // bytes, before the next failure; negative is all
}

func (f *failing) Write(p []byte) (int, error) {
	if f.take < 0 || f.take >= len(p) {
		return f.Buffer.Write(p)
	}
	n, _ := f.Buffer.Write(p[:f.take])
	f.take = 0
	return n, syscall.ENOSPC
}

func TestAFullDiskCostsLinesAndTearsNoLaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &failing{take: 10}
		counted := 0
		l := New(out, func(n int) { counted += n })
		for _, m := range []string{"torn", "lost"} {
			l.Logger().Info().Msg(m)
			synctest.Wait()
		}
		out.take = -1
		l.Logger().Info().Msg("whole")
		l.Close()
		torn, rest, _ := strings.Cut(out.String(), "\n")
		if len(torn) != 10 {
			t.Errorf("begins with %q", torn)
		}
		got, dropped := messages(t, rest)
		if len(got) != 1 || got[0] != "whole" || dropped != 2 || counted != 2 {
			t.Errorf("got %q, %d told of, %d counted", got, dropped, counted)
		}
	})
}

type dead struct{}

func (dead) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestADeadReaderIsNotTriedWithoutALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := 0
		l := New(dead{}, func(n int) { counted += n })
		for range 3 {
			l.Logger().Info().Msg("line")
			synctest.Wait() // not reached while the goroutine goes round and round
		}
		l.Close()
		if counted != 3 {
			t.Errorf("%d counted", counted)
		}
	})
}
