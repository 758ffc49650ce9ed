package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// program is a running server or client of the zoo, with its pipes.
type program struct {
	pid   int
	in    io.WriteCloser
	out   *bufio.Reader
	noise *tail         // what it writes to standard error
	done  chan struct{} // closed when it has ended; its output ends then too
}

// starter starts programs: by exec, or by a forkserver where that is quicker.
type starter struct {
	argv   []string // before the program's own arguments
	server *forkserver
}

// start runs a program until it is stopped or ctx ends.
func (s starter) start(ctx context.Context, env map[string]string, args ...string) (*program, error) {
	argv := append(s.argv[:len(s.argv):len(s.argv)], args...)
	if s.server != nil {
		return s.server.start(ctx, env, argv[1:])
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = os.Environ()
	for name, value := range maps.All(env) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &program{noise: new(tail), done: make(chan struct{})}
	cmd.Stderr = p.noise
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// A pipe of our own, which is read to its end after the program's.
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = theirs
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	p.pid, p.in, p.out = cmd.Process.Pid, in, bufio.NewReader(out)
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended shows in its output
	}()
	return p, nil
}

// signal sends a signal to the program and to those that it has started.
func (p *program) signal(sig syscall.Signal) { _ = syscall.Kill(-p.pid, sig) }

// end stops the program: at first politely, unless there is no time.
func (p *program) end(within time.Duration) {
	if within > 0 {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
			return
		case <-time.After(within): // its streams are still open
		}
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

// listens waits until the program accepts connections at address.
func (p *program) listens(ctx context.Context, address string) error {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("the server ended: %s", lastLines(p.noise.String()))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// forkserver is a process that has an SDK loaded (see zoo/python/forkserver.py).
type forkserver struct {
	process *program
	socket  string
}

// newForkserver starts one and waits until it has the SDK loaded.
func newForkserver(ctx context.Context, python, script, dir, name string) (*forkserver, error) {
	f := &forkserver{socket: filepath.Join(dir, name)}
	var err error
	if f.process, err = (starter{argv: []string{python, script}}).start(ctx, nil, f.socket); err != nil {
		return nil, err
	}
	if _, err := f.process.out.ReadString('\n'); err != nil {
		f.process.end(0)
		return nil, fmt.Errorf("%s: %w: %s", python, err, lastLines(f.process.noise.String()))
	}
	return f, nil
}

// start runs the program of a script.
func (f *forkserver) start(ctx context.Context, env map[string]string, argv []string) (*program, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", f.socket)
	if err != nil {
		return nil, err
	}
	if env == nil {
		env = map[string]string{}
	}
	p := &program{out: bufio.NewReader(conn), noise: f.process.noise, done: make(chan struct{})}
	if err := json.NewEncoder(conn).Encode(map[string]any{"argv": argv, "env": env}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var said struct {
		PID int `json:"pid"`
	}
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the forkserver started nothing: %w", err), conn.Close())
	}
	p.pid, p.in = said.PID, halfCloser{conn.(*net.UnixConn)}
	stop := context.AfterFunc(ctx, func() { p.signal(syscall.SIGKILL) })
	go func() {
		defer stop()
		defer close(p.done)
		ended(p.pid)
	}()
	return p, nil
}

// ended waits until a process that is no child of this one has ended.
func ended(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil { // it has ended already
		return
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// halfCloser ends the input of a program whose output is still read.
type halfCloser struct{ *net.UnixConn }

func (h halfCloser) Close() error { return h.CloseWrite() }
