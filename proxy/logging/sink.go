package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Sink is one destination, with what is logged to it and how.
type Sink struct {
	config  Config
	logger  zerolog.Logger
	reloads zerolog.Logger

	queue   *queue
	file    *os.File // nil: stderr
	created bool     // by Open: the file was not there
	colours bool
	// next takes the lines that come when this sink is closed.
	next atomic.Pointer[Sink]
}

func newSink(c Config, level zerolog.Level, out io.Writer, count func(dropped int)) *Sink {
	s := &Sink{config: c, colours: isTerminal(out)}
	s.queue = newQueue(out, s.notice, count)
	s.useLoggers(level)
	return s
}

// variant is a sink with another configuration on the same destination: lines
// of both keep their order.
func (s *Sink) variant(c Config, level zerolog.Level) *Sink {
	v := &Sink{config: c, queue: s.queue, colours: s.colours}
	v.useLoggers(level)
	return v
}

func (s *Sink) useLoggers(level zerolog.Level) {
	lines := levelWriter{lines: s.format(port{s, roomOfLines}), errors: s.format(port{s, roomOfErrors})}
	s.logger = zerolog.New(lines).Level(level).With().Timestamp().Logger()
	s.reloads = zerolog.New(s.format(port{s, roomOfReloads})).Level(level).With().Timestamp().Logger()
}

// format turns the JSON that zerolog makes into the sink's format.
func (s *Sink) format(w io.Writer) io.Writer {
	if s.config.Format != "console" {
		return w
	}
	return zerolog.ConsoleWriter{Out: w, NoColor: !s.colours, TimeFormat: time.RFC3339}
}

// notice is the line that tells of dropped ones.
func (s *Sink) notice(dropped int) []byte {
	var b bytes.Buffer
	logger := zerolog.New(s.format(&b)).With().Timestamp().Logger()
	logger.Warn().Int("dropped", dropped).Msg("log lines were dropped: the log could not be written as fast as they came")
	return b.Bytes()
}

// port puts lines of one kind into the queue.
type port struct {
	sink *Sink
	room int
}

// Write never fails: what the queue has no room for is counted there.
func (p port) Write(line []byte) (int, error) {
	for s := p.sink; !s.queue.put(line, p.room); {
		next := s.next.Load()
		if next == nil { // the log has been closed
			s.queue.count(1)
			break
		}
		s = next
	}
	return len(line), nil
}

// levelWriter leads errors to the room that is kept for them.
type levelWriter struct{ lines, errors io.Writer }

func (w levelWriter) Write(line []byte) (int, error) { return w.lines.Write(line) }

func (w levelWriter) WriteLevel(l zerolog.Level, line []byte) (int, error) {
	if l >= zerolog.ErrorLevel && l != zerolog.NoLevel {
		return w.errors.Write(line)
	}
	return w.lines.Write(line)
}

// openTimeout bounds the opening of a log file: on a network file system whose
// server is gone it never returns.
const openTimeout = 10 * time.Second

func openFile(path string) (f *os.File, created bool, err error) {
	type opened struct {
		file    *os.File
		created bool
		err     error
	}
	// Unbuffered: a file that comes too late finds no receiver, and is closed.
	result, gaveUp := make(chan opened), make(chan struct{})
	go func() {
		_, err := os.Stat(path)
		o := opened{created: errors.Is(err, fs.ErrNotExist)}
		// Without O_NONBLOCK, opening a FIFO waits for a reader, maybe for ever.
		o.file, o.err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
		select {
		case result <- o:
		case <-gaveUp:
			if o.err == nil {
				o.file.Close()
			}
		}
	}()
	select {
	case o := <-result:
		if o.err != nil {
			return nil, false, fmt.Errorf("opening the log file: %w", o.err)
		}
		return o.file, o.created, nil
	case <-time.After(openTimeout):
		close(gaveUp)
		return nil, false, fmt.Errorf("opening the log file %s: the file system has not answered within %s", path, openTimeout)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
