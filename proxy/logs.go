package proxy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// LogConfig is the section log.
type LogConfig struct {
	Level  string      `yaml:"level" default:"info" enum:"trace,debug,info,warn,error" doc:"The least severe level that is written."`
	Format string      `yaml:"format" default:"json" enum:"json,console" doc:"JSON lines, or text for people."`
	File   config.Path `yaml:"file" doc:"Where to; empty is stderr. SIGUSR1 reopens it."`
	Access bool        `yaml:"access" default:"true" doc:"One line a request."`
}

// Validate refuses a log file whose folder is not there.
func (c *LogConfig) Validate(s *config.Scope) {
	if c.File == "" {
		return
	}
	dir := filepath.Dir(string(c.File))
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		s.Errorf("file", "the folder %s does not exist", dir)
	}
}

// Logs is where the process logs to. A generation may replace the sink while
// others write; no line is lost or torn.
type Logs struct {
	stderr  *logSink
	current atomic.Pointer[logSink]
}

// logSink is one opened destination.
type logSink struct {
	logger  zerolog.Logger
	config  LogConfig
	created bool // by open: the file was not there

	mu   sync.Mutex
	file *os.File // nil when there is none, or none any more
	out  io.Writer
}

// NewLogs starts with JSON lines at level info on stderr, so that the first
// load has somewhere to report to.
func NewLogs(stderr io.Writer) *Logs {
	l := &Logs{stderr: &logSink{config: LogConfig{Access: true}, out: stderr}}
	l.stderr.logger = zerolog.New(l.stderr).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	l.current.Store(l.stderr)
	return l
}

// Logger is the logger in force. Callers fetch it for each event.
func (l *Logs) Logger() *zerolog.Logger { return &l.current.Load().logger }

// Access reports whether requests are logged.
func (l *Logs) Access() bool { return l.current.Load().config.Access }

// open prepares a sink; nothing changes until swap.
func (l *Logs) open(c LogConfig) (*logSink, error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	s := &logSink{config: c, out: l.stderr}
	colours := isTerminal(l.stderr.out)
	if c.File != "" {
		_, err := os.Stat(string(c.File))
		s.created = errors.Is(err, fs.ErrNotExist)
		if s.file, err = openLog(string(c.File)); err != nil {
			return nil, err
		}
		s.out, colours = s.file, isTerminal(s.file)
	}
	var w io.Writer = s
	if c.Format == "console" {
		w = zerolog.ConsoleWriter{Out: s, NoColor: !colours, TimeFormat: time.RFC3339}
	}
	s.logger = zerolog.New(w).Level(level).With().Timestamp().Logger()
	return s, nil
}

func openLog(path string) (*os.File, error) {
	// Without O_NONBLOCK, opening a FIFO waits for a reader, maybe for ever, and
	// with it every reload and the shutdown.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening the log file: %w", err)
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

// Write passes one line on. A full disk costs lines, never a request: zerolog
// drops the error, and so does the caller.
func (s *logSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

// swap puts a prepared sink in force. What others are writing to the one before
// it goes there or here.
func (l *Logs) swap(s *logSink) {
	if old := l.current.Swap(s); old != s {
		old.retire(s)
	}
}

// discard takes back open, and swap where the first generation came to that:
// what it had to say stays in its file.
func (l *Logs) discard(s *logSink) {
	if !l.current.CompareAndSwap(s, l.stderr) && s.created {
		os.Remove(string(s.config.File))
	}
	s.retire(l.stderr)
}

// close closes the log file; later lines go to stderr.
func (l *Logs) close() { l.swap(l.stderr) }

// retire closes the file; a line that is being formatted for this sink right
// now goes to next.
func (s *logSink) retire(next *logSink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
		s.file, s.out = nil, next
	}
}

// Reopen opens the log file anew under its name, for log rotation (SIGUSR1).
// Without a log file it does nothing.
func (l *Logs) Reopen() error {
	s := l.current.Load()
	if s.config.File == "" {
		return nil
	}
	f, err := openLog(string(s.config.File))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil { // replaced in the meantime
		return f.Close()
	}
	old := s.file
	s.file, s.out = f, f
	return old.Close()
}
