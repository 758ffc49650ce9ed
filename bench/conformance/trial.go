package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// paused is how long a server is stopped. It is shorter than most servers keep an
	// unused connection: a connection that a server closes at the moment in which a
	// client uses it is not what is tested here.
	paused = 2 * time.Second
	// sessionIdle is after what the servers that can end idle sessions, and
	// idle how long the clients do nothing.
	sessionIdle = 5 * time.Second
	idle        = 7 * time.Second
	// slowly is how long a call takes in which a server is killed, known how long the
	// gateway has to tell the client, and directly how long a client without a
	// gateway gets: some wait for ever.
	slowly   = time.Minute
	known    = 15 * time.Second
	directly = 2 * time.Second
	// grace is how long a server has to end by itself.
	grace = time.Second
)

// trial is one server over one transport, and its clients, all at once.
type trial struct {
	zoo          *zooRun
	sdk          sdk
	over         string
	address      string
	clients      []sdk
	server       *program
	participants []*participant
	restarts     restarts
	err          error
}

func (p *trial) run(ctx context.Context) {
	defer p.close()
	if p.err != nil {
		return
	}
	var mu sync.Mutex
	var arriving sync.WaitGroup
	for _, c := range p.clients {
		for way := range zooWays {
			arriving.Go(func() {
				v := participate(ctx, p, c, way)
				v.look()
				mu.Lock()
				defer mu.Unlock()
				p.participants = append(p.participants, v)
			})
		}
	}
	arriving.Wait()
	for _, trouble := range []func(context.Context) error{p.pause, p.kill, p.restart, p.restartUnderLoad, p.idle} {
		if p.err = trouble(ctx); p.err != nil {
			return
		}
	}
}

// close ends the clients, and then the server.
func (p *trial) close() {
	p.each((*participant).leave)
	if p.server != nil {
		p.server.end(0)
	}
}

// each lets every client do something, all at once.
func (p *trial) each(do func(*participant)) {
	var doing sync.WaitGroup
	for _, v := range p.participants {
		doing.Go(func() { do(v) })
	}
	doing.Wait()
}

// begin starts the server, unless its client or the gateway starts it as a child.
func (p *trial) begin(ctx context.Context) (err error) {
	if p.over == "stdio" {
		return nil
	}
	env := map[string]string{"ZOO_IDLE": fmt.Sprint(sessionIdle.Seconds())}
	if p.server, err = p.sdk.server.start(ctx, env, p.over, p.address); err != nil {
		return err
	}
	go func(out io.Reader) { _, _ = io.Copy(io.Discard, out) }(p.server.out) // until it has ended
	return p.server.listens(ctx, p.address)
}

// look tries everything that a client does while all is well.
func (v *participant) look() {
	v.note("list", errors.Join(
		v.soon(v.tools),
		v.list("prompts", v.name("greet")),
		v.list("resources", v.uri())))
	v.note("echo", v.expect(v.tool("echo", map[string]any{"text": "a zébra\n🦓"}), "a zébra\n🦓"))
	v.note("read", v.expect(question{Do: "read", Name: v.uri()}, "a zebra"))
	v.note("prompt", v.expect(question{Do: "prompt", Name: v.name("greet"), Arguments: map[string]any{"name": "Bo"}}, "Greet Bo."))
	var counts []string
	for range 3 {
		said, _, err := v.ask(v.tool("counter", nil))
		if err != nil {
			said = err.Error()
		}
		counts = append(counts, said)
	}
	v.note("state", want("1 2 3", strings.Join(counts, " ")))

	_, told, err := v.ask(v.tool("slow", map[string]any{"ms": 300}))
	v.more(&told, func() bool { return len(told.progress) >= 3 })
	v.note("progress", errors.Join(err, want("[1 2 3]", fmt.Sprint(told.progress))))

	// Some servers log only when asked to, and some cannot be asked. A stdio server
	// without sessions gets a process for each call that asks.
	_, _, _ = v.ask(question{Do: "level"})
	_, told, err = v.ask(v.tool("log", map[string]any{"text": "hello"}))
	v.more(&told, func() bool { return len(told.logs) > 0 })
	v.note("log", errors.Join(err, want("[hello]", fmt.Sprint(told.logs))))
}

// soon tries again for a while in a federation, which lists a server once it
// has started.
func (v *participant) soon(do func() error) error {
	err := do()
	for until := time.Now().Add(patience); err != nil && zooWays[v.way] == "federation" && v.dead == nil && time.Now().Before(until); err = do() {
		time.Sleep(checks)
	}
	return err
}

// tools checks that all tools are listed.
func (v *participant) tools() error {
	return v.list("tools", v.name("counter"), v.name("echo"), v.name("log"), v.name("pid"), v.name("slow"))
}

// uri is what the client sees the resource called.
func (v *participant) uri() string {
	if zooWays[v.way] == "federation" {
		return v.home + "+zoo://animal"
	}
	return "zoo://animal"
}

func (v *participant) expect(q question, text string) error {
	said, _, err := v.ask(q)
	return errors.Join(err, want(text, said))
}

func want(want, got string) error {
	if want != got {
		return fmt.Errorf("it is %q, not %q", got, want)
	}
	return nil
}

// counted asks for the next count, and fails if it is no number.
func (v *participant) counted() error {
	said, _, err := v.ask(v.tool("counter", nil))
	if err == nil {
		_, err = strconv.Atoi(said)
	}
	return err
}

// processes are the server's: that which listens, or all that clients and the
// gateway have started.
func (p *trial) processes() []int {
	if p.server != nil {
		return []int{p.server.pid}
	}
	var pids []int
	command := strings.Join(p.stdio(), "\x00") + "\x00"
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if text, wrong := os.ReadFile(file); err == nil && wrong == nil && string(text) == command {
			pids = append(pids, pid)
		}
	}
	return pids
}

func tell(pids []int, with syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, with)
	}
}

// gone waits until there are no such processes any more.
func gone(ctx context.Context, pids []int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, pid := range pids {
		for syscall.Kill(pid, 0) == nil {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("process %d does not end", pid)
			}
		}
	}
	return nil
}

// pause stops the server for a while, in which all clients call it.
func (p *trial) pause(ctx context.Context) error {
	pids := p.processes()
	p.each(func(v *participant) { _ = v.counted() }) // no connection has been idle for long
	tell(pids, syscall.SIGSTOP)
	defer tell(pids, syscall.SIGCONT)
	again := time.AfterFunc(paused, func() { tell(pids, syscall.SIGCONT) })
	defer again.Stop()
	p.each(func(v *participant) { v.note("slowed", v.counted()) })
	return ctx.Err()
}

// kill kills the server with a call of all clients in it.
func (p *trial) kill(ctx context.Context) error {
	p.each(func(v *participant) {
		v.send(v.tool("slow", map[string]any{"ms": slowly.Milliseconds()}))
		v.told(late)
	})
	pids := p.processes() // that of the call may be its own
	away := time.Now()
	tell(pids, syscall.SIGKILL)
	if p.server != nil {
		<-p.server.done
	}
	p.each(func(v *participant) {
		within := known
		if v.way == 0 {
			within = directly
		}
		_, _, err := v.wait(within)
		switch {
		case err == nil:
			err = errors.New("the call came back from a server that was killed")
		case v.dead == nil:
			err = nil // as it must be
		}
		v.note("killed in a call", err)
		if zooWays[v.way] == "federation" {
			v.note("companion", v.expect(question{Do: "call", Name: companion + "__echo", Arguments: map[string]any{"text": "here"}}, "here"))
		}
	})
	if err := p.back(ctx, away); err != nil {
		return err
	}
	p.each(func(v *participant) { v.note("after a kill", v.counted()) })
	return ctx.Err()
}

// restart ends the server while no client calls it.
func (p *trial) restart(ctx context.Context) error {
	pids := p.processes()
	away := time.Now()
	if p.server != nil {
		p.server.end(grace)
	} else {
		tell(pids, syscall.SIGTERM)
		if err := gone(ctx, pids); err != nil {
			return err
		}
	}
	if err := p.back(ctx, away); err != nil {
		return err
	}
	p.each(func(v *participant) {
		v.note("restarted", errors.Join(v.counted(), v.counted()))
	})
	return ctx.Err()
}

// idle waits until servers, proxies and clients have closed what is unused.
func (p *trial) idle(ctx context.Context) error {
	select {
	case <-time.After(idle):
	case <-ctx.Done():
	}
	p.each(func(v *participant) {
		v.note("idle", v.counted())
		v.note("list at the end", v.tools())
	})
	return ctx.Err()
}
