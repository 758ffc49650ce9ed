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
	// mu guards the ResponseWriter until the final header has come, since 1xx answers
	// are written from another goroutine.
	mu   sync.Mutex
	seen int
	over atomic.Bool // the final header has come, or never will
}

// end has no 1xx answer be written from now on.
func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over.Store(true)
}

// pass passes a 1xx answer on, such as 103 Early Hints. It does not pass 100, which our
// own server sends when the upstream wants the body.
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
