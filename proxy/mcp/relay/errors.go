package relay

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// gatewayError is why the gateway gave no answer, in words for the client and its
// user.
type gatewayError struct{ err error }

// explained returns err, of a session with the gateway, as a gatewayError; nil stays
// nil.
func explained(err error) error {
	if err == nil {
		return nil
	}
	return &gatewayError{err}
}

func (e *gatewayError) Unwrap() error { return e.err }

func (e *gatewayError) Error() string {
	var status *upstream.StatusError
	switch {
	case errors.As(e.err, &status):
		text := fmt.Sprintf("the gateway answered %d %s", status.Code, http.StatusText(status.Code))
		if status.Snippet != "" {
			text += ": " + status.Snippet
		}
		if status.Code == http.StatusUnauthorized {
			text += "; a token that is valid is needed"
		}
		return text
	case errors.As(e.err, new(*upstream.TooLongError)):
		return fmt.Sprintf("the gateway's answer has more than %d bytes", maxMessage)
	case errors.Is(e.err, upstream.ErrProtocol):
		return "the gateway's answer is no answer to the request: " + e.err.Error()
	case refusesCertificate(e.err) && strings.HasSuffix(e.err.Error(), "certificate required"):
		return "the gateway demands a client certificate; give --client-cert and --client-key"
	case upstream.NotSent(e.err):
		return "the gateway cannot be reached: " + e.err.Error()
	}
	return "the connection to the gateway was lost; whether it acted on the request is unknown: " + e.err.Error()
}

// lost reports whether the gateway did not act on a request since it does not know
// the session any more.
func lost(err error) bool {
	return errors.Is(err, upstream.ErrSessionLost) && upstream.Repeatable(err)
}

// away reports whether the gateway could not answer, and may be able to later.
func away(err error) bool {
	var status *upstream.StatusError
	if errors.As(err, &status) {
		return slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, status.Code)
	}
	return errors.As(err, new(*gatewayError)) && !errors.Is(err, upstream.ErrProtocol)
}
