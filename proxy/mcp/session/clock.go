package session

import (
	"context"
	"sync"
	"time"
)

// clock ends a call that takes too long, or whose server is silent for too long.
type clock struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	silence time.Duration // the longest
	idle    *time.Timer
	waiting int // requests of servers that the client has not answered
}

// start begins the time of the call. stop must be called.
func (k *clock) start(parent context.Context, t Timeouts) {
	ctx, cancel := context.WithCancelCause(parent)
	ctx, stop := context.WithTimeoutCause(ctx, t.CallMax, errCallMax)
	k.ctx, k.silence = ctx, t.CallIdle
	k.cancel = func(cause error) { cancel(cause); stop() }
	k.idle = time.AfterFunc(t.CallIdle, func() { cancel(errCallIdle) })
}

func (k *clock) stop() {
	k.mu.Lock()
	k.idle.Stop()
	k.mu.Unlock()
	k.cancel(context.Canceled)
}

// touch notes a sign of life of the server.
func (k *clock) touch() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting == 0 && k.ctx.Err() == nil {
		k.idle.Reset(k.silence)
	}
}

// pause stops the time of silence while the server waits for the client: a user who
// thinks is not a server that hangs.
func (k *clock) pause() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting++
	k.idle.Stop()
}

// unpause ends a pause.
func (k *clock) unpause() {
	k.mu.Lock()
	k.waiting--
	k.mu.Unlock()
	k.touch()
}
