package logging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

// Sink is one destination, with what is logged to it and how.
type Sink struct {
	config  Config
	logger  zerolog.Logger
	reloads zerolog.Logger

	queue   *queue
	file    logFile // the zero value: stderr
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

// logFile is a file that is written to.
type logFile struct {
	*os.File
	created bool // the file was not there
}

func openFile(path string) (logFile, error) {
	return openWithin(path, func() (f logFile, err error) {
		_, err = os.Stat(path)
		f.created = errors.Is(err, fs.ErrNotExist)
		// Without O_NONBLOCK, opening a FIFO waits for a reader, maybe for ever.
		f.File, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
		return f, err
	})
}

// openWithin bounds the wait for open, and closes a file that comes too late. Each
// call has a Disk of its own: on a shared one an open that never returns, of a network
// file system that is gone, would keep every later one from the path, once another
// file system is mounted there as well.
func openWithin(path string, open func() (logFile, error)) (logFile, error) {
	var f logFile
	var settled atomic.Bool // the file has come, or is not waited for any more
	_, err := disk.Do(context.Background(), disk.New(context.Background(), disk.Timeout), "open", path, func() (_ struct{}, err error) {
		f, err = open()
		if settled.Swap(true) && err == nil {
			f.Close()
		}
		return struct{}{}, err
	})
	if errors.Is(err, disk.ErrNoAnswer) && settled.Swap(true) {
		f.Close() // it came in the last moment
	}
	if err != nil {
		return logFile{}, fmt.Errorf("opening the log file: %w", err)
	}
	return f, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
