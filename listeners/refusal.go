package listeners

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/listeners/http1head"
)

// What a request gets in a handler's place.
var (
	// refusedMemory is also for a head that is long, before net/http has it.
	refusedMemory = &http1head.Error{Status: http.StatusServiceUnavailable, Code: "overload_manager", Message: memory.ErrExhausted.Error()}
	// refusedExpired has the client come again on another connection (RFC 9110
	// section 15.5.20), with a certificate that it may have by now.
	refusedExpired = &http1head.Error{Status: http.StatusMisdirectedRequest, Code: "client_certificate_expired", Message: "the client certificate of this connection, or of a CA that it comes from, has expired; open another connection"}
	refusedHeader  = &http1head.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Code: "header_too_large", Message: "the request's header is too long"}
	refusedTimeout = &http1head.Error{Status: http.StatusRequestTimeout, Code: "request_timeout", Message: "the request's header did not come in time"}
)

// refusalBody is the body of an answer that refuses a request.
func refusalBody(e *http1head.Error) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`+"\n", e.Code, e.Message)
}

// refuse answers a request that net/http or http3 has read.
func (r *response) refuse(e *http1head.Error) {
	r.Header().Set("Content-Type", "application/json")
	if e.Status == http.StatusServiceUnavailable {
		r.Header().Set("Retry-After", "5")
	}
	r.WriteHeader(e.Status)
	_, _ = io.WriteString(r, refusalBody(e))
	r.finish()
}

// refuseRaw answers a request that net/http has not read, on a connection that
// closes after it.
func refuseRaw(conn net.Conn, e *http1head.Error) error {
	return answerRaw(conn, e.Status, "application/json", refusalBody(e))
}

func answerRaw(conn net.Conn, status int, contentType, body string) error {
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), contentType, len(body), body)
	return err
}

// awaitClose waits a moment for a client that was answered to close its connection:
// else what it still sends would reset that before it has read the answer.
func awaitClose(conn net.Conn) {
	if closeWrite(conn) != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.CopyN(io.Discard, conn, 64<<10)
}
