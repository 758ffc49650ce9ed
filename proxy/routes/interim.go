package routes

import (
	"fmt"
	"net/http"
	"net/textproto"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/clusters/transport"
)

// maxInterim bounds the 1xx answers to one request. Each costs the client a
// header, and the upstream nothing.
const maxInterim = 32

var errInterim = fmt.Errorf("%w: it sent more than %d 1xx answers", transport.ErrProtocol, maxInterim)

// interim passes 1xx answers on, which arrive on a goroutine of the upstream
// connection until the final one does.
type interim struct {
	mu   sync.Mutex // held while the ResponseWriter is the upstream's
	seen int
	over atomic.Bool // the final header has come, or never will
}

// end leaves the ResponseWriter to the handler.
func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over.Store(true)
}

// pass passes on 103 Early Hints above all. 100 it does not: our own server sends
// it when the upstream wants the body.
func (i *interim) pass(w http.ResponseWriter, status int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.seen++; i.seen > maxInterim {
		return errInterim
	}
	if status == http.StatusContinue || i.over.Load() {
		return nil
	}
	h := w.Header()
	before := h.Clone()
	endToEnd(h, http.Header(header))
	w.WriteHeader(status)
	clear(h)
	endToEnd(h, before)
	return nil
}
