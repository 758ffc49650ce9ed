package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program under measurement, with its children.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer // read only after done
	done   chan struct{}
}

// start runs cmd until stop, or until ctx ends.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = &p.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // stderr says how it ended
	}()
	return p, nil
}

// err returns what a process that has ended wrote to standard error; nil while it
// runs.
func (p *process) err() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s", filepath.Base(p.cmd.Path), bytes.TrimSpace(p.stderr.Bytes()))
	default:
		return nil
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// cpu is the user and system time of the process and of its living children, to
// the nanosecond. (/proc/PID/stat has the same in ticks of 10 ms.)
func (p *process) cpu() (time.Duration, error) {
	var sum time.Duration
	err := p.each(func(pid int) error {
		var t unix.Timespec
		// The clock of a process, as clock_getcpuclockid(3) makes it.
		if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
			return fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
		}
		sum += time.Duration(t.Nano())
		return nil
	})
	return sum, err
}

// resident is the memory that the process and its living children have to
// themselves, in bytes.
func (p *process) resident() (sum int, err error) {
	err = p.each(func(pid int) error {
		path := fmt.Sprintf("/proc/%d/status", pid)
		var kib int
		if _, err := fmt.Sscanf(field(path, "RssAnon"), "%d kB", &kib); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		sum += kib << 10
		return nil
	})
	return sum, err
}

// each calls f for the process and its living children.
func (p *process) each(f func(pid int) error) error {
	if err := p.err(); err != nil {
		return err
	}
	pids, err := children(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	for _, pid := range append(pids, p.cmd.Process.Pid) {
		if err := f(pid); err != nil {
			return err
		}
	}
	return nil
}

func children(parent int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// pid (comm) state ppid …; comm may hold anything, parentheses too.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// freeAddress asks the kernel for a port that is free now, for programs that
// cannot tell which one they were given.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
