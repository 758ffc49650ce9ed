package proxy

import (
	"errors"
	"fmt"
	"io"
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
// others write: each event goes wholly to the sink it began with.
type Logs struct {
	stderr  io.Writer
	current atomic.Pointer[logSink]
}

// logSink is one opened destination. Its file is closed when its writers are
// done: a reopened or replaced file must not swallow a line.
type logSink struct {
	logger zerolog.Logger
	access bool
	config LogConfig
	mu     sync.RWMutex
	file   *os.File
	out    io.Writer
}

// NewLogs starts with JSON lines at level info on stderr, so that the first
// load has somewhere to report to.
func NewLogs(stderr io.Writer) *Logs {
	l := &Logs{stderr: stderr}
	s, err := l.open(LogConfig{Level: "info", Format: "json", Access: true})
	if err != nil { // stderr needs no opening; kept so that a change here is noticed
		panic(err)
	}
	l.current.Store(s)
	return l
}

// Logger is the logger in force. Callers fetch it for each event.
func (l *Logs) Logger() *zerolog.Logger { return &l.current.Load().logger }

// Access reports whether requests are logged.
func (l *Logs) Access() bool { return l.current.Load().access }

// open prepares a sink; nothing changes until swap.
func (l *Logs) open(c LogConfig) (*logSink, error) {
	s := &logSink{config: c, access: c.Access, out: l.stderr}
	if c.File != "" {
		f, err := openLog(string(c.File))
		if err != nil {
			return nil, err
		}
		s.file, s.out = f, f
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	var w io.Writer = s
	if c.Format == "console" {
		w = zerolog.ConsoleWriter{Out: s, NoColor: !isTerminal(s.out), TimeFormat: time.RFC3339}
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
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.out.Write(p)
}

// swap puts a prepared sink in force and closes the one before it.
func (l *Logs) swap(s *logSink) {
	if old := l.current.Swap(s); old != nil && old != s {
		old.close()
	}
}

func (s *logSink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
		// A line that is being formatted for this sink right now still has
		// somewhere to go.
		s.file, s.out = nil, os.Stderr
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
	return errors.Join(old.Close())
}
