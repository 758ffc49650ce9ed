package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// exitGrace is how long a process whose stdout has ended may take to exit and
// so to tell why.
const exitGrace = 500 * time.Millisecond

// stdio is the transport over the pipes of a child process: one message a line
// (MCP 2025-11-25, Transports, stdio).
type stdio struct {
	duplex
	process *process.Process
	lines   chan line
}

func (*stdio) kind() Kind { return Stdio }

func (o *opening) connectStdio(ctx context.Context, s *Session) error {
	p, err := o.endpoint.Start(ctx, process.Owner{Backoff: o.opts.Backoff, Principal: o.opts.Principal, Check: o.check != nil, IfFree: o.ifFree})
	if err != nil {
		return err
	}
	p.SetTrial(o.trial)
	limit := o.cluster.Config().StartTimeout
	timer := time.AfterFunc(limit, func() { o.cancel(startTimeError{limit}) })
	context.AfterFunc(ctx, func() { timer.Stop() })
	t := &stdio{duplex: duplex{life: s.life, in: s.in}, process: p, lines: make(chan line)}
	s.use(t)
	s.process = p
	t.start()
	return nil
}

// line is a message on its way to the process; written gets the outcome.
type line struct {
	data    []byte
	written chan<- error
}

// start reads from and writes to the process, which ends with the session.
func (t *stdio) start() {
	t.life.spawn(t.read)
	t.life.spawn(t.write)
	t.life.spawn(func() {
		<-t.life.ctx.Done()
		t.process.Stop(context.Background())
	})
}

// read reads lines to the end of stdout, with which the session is lost.
func (t *stdio) read() {
	r := bufio.NewReader(t.process.Stdout)
	lease := t.in.limits.lease()
	t.lease = &lease
	var err error
	for err == nil {
		var b []byte
		if b, err = t.readLine(r, &lease); len(b) > 0 && err == nil {
			t.receive(b)
		}
		lease.Release()
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the process closed its stdout")
		select {
		case <-t.process.Done():
			err = t.process.Err()
		case <-time.After(exitGrace):
		case <-t.life.ctx.Done():
		}
	}
	t.life.end(lost(err))
	_, _ = io.Copy(io.Discard, r) // a full pipe would keep the process from ending
}

// readLine reads a line, without its end. Of one that is too long, or for which
// there is no memory, it returns nothing: the line is passed over, and the call
// ends that it answers.
func (t *stdio) readLine(r *bufio.Reader, lease *memory.Lease) ([]byte, error) {
	var line memory.Buffer
	most := t.in.limits.longest()
	for {
		part, err := r.ReadSlice('\n')
		whole := !errors.Is(err, bufio.ErrBufferFull)
		over := int64(line.Len()+len(part)) > most+1
		takes := len(part)
		if whole && line.Len() > 0 {
			takes += line.Len() + len(part) // put together
		}
		if over || lease.Grow(takes) != nil {
			m := &skim{short: !over}
			for _, p := range line.Parts() {
				_, _ = m.Write(p)
			}
			_, _ = m.Write(part)
			line = memory.Buffer{}
			lease.Release() // what is left may be long in coming
			return nil, t.passLine(r, m, err)
		}
		line.Write(part)
		if whole {
			return bytes.TrimSpace(line.Bytes()), err
		}
	}
}

// passLine reads what is left of a line that is too long, the last part of
// which came with err. The call need not wait for all of it once it is known.
func (t *stdio) passLine(r *bufio.Reader, m *skim, err error) error {
	told := false
	for errors.Is(err, bufio.ErrBufferFull) {
		if id := m.ID(); !told && m.IsResponse() && !id.IsZero() {
			told = t.calls.fail(id, t.in.limits.tooLong(m.short))
		}
		var part []byte
		part, err = r.ReadSlice('\n')
		_, _ = m.Write(part)
	}
	if !told {
		t.skimmed(m)
	}
	return err
}

// write writes lines for as long as the session lives. A process that does not
// read blocks it, until Stop closes the pipe.
func (t *stdio) write() {
	for {
		select {
		case l := <-t.lines:
			n, err := t.process.Stdin.Write(l.data)
			switch {
			case err != nil && t.life.over():
				err = context.Cause(t.life.ctx) // Stop has closed the pipe
			case err != nil:
				err = lost(err)
			}
			if err != nil && n < len(l.data)-1 {
				err = &unsentError{err} // what has no end is no message
			}
			l.written <- err
		case <-t.life.ctx.Done():
			return
		}
	}
}

func (t *stdio) call(ctx context.Context, r request) (*jsonrpc.Message, error) {
	body := r.body
	return t.do(ctx, r, func(ctx context.Context) error { return t.send(ctx, body) })
}

func (t *stdio) send(ctx context.Context, msg []byte) error {
	written := make(chan error, 1)
	select {
	case t.lines <- line{jsonrpc.Line(msg), written}:
	case <-ctx.Done():
		return &unsentError{context.Cause(ctx)}
	case <-t.life.ctx.Done():
		return &unsentError{context.Cause(t.life.ctx)}
	}
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.life.ctx.Done():
		// Stop closes the pipe, which ends the write. Only how it ended tells
		// whether the process can have read the message.
		if err := <-written; NotSent(err) {
			return err
		}
		return context.Cause(t.life.ctx)
	}
}

func (t *stdio) close(ctx context.Context) { t.process.Stop(ctx) }
