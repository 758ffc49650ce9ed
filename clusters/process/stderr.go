package process

import (
	"bufio"
	"sync"
	"time"
)

// A process that writes to stderr without end must not fill the log that all
// share: in each window it has so many lines.
const (
	stderrLines  = 200
	stderrWindow = 10 * time.Second
	// maxStderrLine bounds a line in bytes; the rest is cut off.
	maxStderrLine = 8 << 10
)

// readStderr hands on stderr line by line, and counts what is too much.
func (p *Process) readStderr() {
	defer p.stderr.Close()
	c := p.command
	l := &lineLimit{omitted: func(lines int) {
		if c.Trace.StderrOmitted != nil {
			c.Trace.StderrOmitted(c.Cluster, lines)
		}
	}}
	defer l.close()
	r := bufio.NewReaderSize(p.stderr, maxStderrLine)
	for {
		line, long, err := r.ReadLine()
		if err == nil && c.Trace.Stderr != nil && l.pass() {
			c.Trace.Stderr(c.Cluster, string(line))
		}
		for long && err == nil {
			_, long, err = r.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

// lineLimit lets stderrLines pass in a window, which begins with a line.
type lineLimit struct {
	// omitted is called with the number of lines that a window had above that.
	omitted func(lines int)

	mu    sync.Mutex
	began time.Time
	lines int         // of the window
	timer *time.Timer // ends a window that has too many; nil: none has
}

// pass counts a line, and reports whether it is one of those that may pass.
func (l *lineLimit) pass() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.began) >= stderrWindow {
		l.endWindow()
		l.began = now
	}
	l.lines++
	if l.lines <= stderrLines {
		return true
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(l.began.Add(stderrWindow)), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.endWindow()
		})
	}
	return false
}

// endWindow tells of what was left out, and lets lines pass again.
func (l *lineLimit) endWindow() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.lines > stderrLines {
		l.omitted(l.lines - stderrLines)
	}
	l.lines, l.began = 0, time.Time{}
}

// close tells of what was left out last.
func (l *lineLimit) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endWindow()
}
