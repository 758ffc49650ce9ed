package logging

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// flushTimeout is how long lines that wait have when their destination is given
// up: at an orderly stop, or where another takes its place.
const flushTimeout = 2 * time.Second

// Logs is where the process logs to. A generation may replace the sink while
// others write; no line is torn, and none lost but those that a destination is
// too slow for.
type Logs struct {
	stderr  *Sink
	current atomic.Pointer[Sink]
	// count is told of each dropped line.
	count func(dropped int)
	// retired counts the sinks that still write what they took.
	retired sync.WaitGroup
}

// New starts with JSON lines at level info on stderr, so that the first load has
// somewhere to report to. dropped is called with the number of lines that are
// lost, each time some are; it must not log.
func New(stderr io.Writer, dropped func(lines int)) *Logs {
	l := &Logs{count: dropped}
	l.stderr = newSink(Config{Access: true}, zerolog.InfoLevel, stderr, dropped)
	l.current.Store(l.stderr)
	return l
}

// Logger is the logger in force. Callers fetch it for each event.
func (l *Logs) Logger() *zerolog.Logger { return &l.current.Load().logger }

// ReloadLogger is Logger for the few lines about the process's own life, which
// have room of their own where the log is slow.
func (l *Logs) ReloadLogger() *zerolog.Logger { return &l.current.Load().reloads }

// Access reports whether requests are logged.
func (l *Logs) Access() bool { return l.current.Load().config.Access }

// Open prepares a sink; nothing changes until Swap.
func (l *Logs) Open(c Config) (*Sink, error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	if c.File == "" {
		return l.stderr.variant(c, level), nil
	}
	f, err := openFile(string(c.File))
	if err != nil {
		return nil, err
	}
	s := newSink(c, level, f.File, l.count)
	s.file = f
	return s, nil
}

// Swap puts a prepared sink in force. What others are writing to the one before
// it goes there or here.
func (l *Logs) Swap(s *Sink) {
	s.queue.locked(func() { s.queue.notice = s.notice }) // stderr keeps its queue, and may change its format
	if old := l.current.Swap(s); old != s {
		l.retire(old, s)
	}
}

// Discard takes back Open, and Swap where the first generation came to that:
// what it had to say stays in its file.
func (l *Logs) Discard(s *Sink) {
	if !l.current.CompareAndSwap(s, l.stderr) && s.file.created {
		os.Remove(string(s.config.File))
	}
	l.retire(s, l.stderr)
}

// retire sends what is still being formatted for a sink to next, and closes the
// sink's file once it has the lines that wait for it.
func (l *Logs) retire(s, next *Sink) {
	if s.file.File == nil {
		return // stderr stays open
	}
	s.next.Store(next)
	s.queue.close()
	l.retired.Go(func() {
		s.queue.closeWithin(flushTimeout)
		s.file.Close() // ends a write that waits for the reader of a pipe
	})
}

// Reopen opens the log file anew under its name, for log rotation (SIGUSR1).
// Without a log file it does nothing.
func (l *Logs) Reopen() error {
	old := l.current.Load()
	if old.file.File == nil {
		return nil
	}
	s, err := l.Open(old.config)
	if err != nil {
		return err
	}
	if !l.current.CompareAndSwap(old, s) { // replaced in the meantime
		l.retire(s, l.stderr)
		return nil
	}
	l.retire(old, s)
	return nil
}

// Close writes the lines that wait, for at most two seconds, and drops and
// counts the rest. Later lines are dropped.
func (l *Logs) Close() {
	deadline := time.Now().Add(flushTimeout)
	l.Swap(l.stderr)
	retired := make(chan struct{})
	go func() { l.retired.Wait(); close(retired) }()
	select {
	case <-retired:
	case <-time.After(time.Until(deadline)):
	}
	l.stderr.queue.closeWithin(time.Until(deadline))
}
