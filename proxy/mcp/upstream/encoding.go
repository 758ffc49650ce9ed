package upstream

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	// maxInflated and maxInflation bound what gzip makes of little: an answer
	// that holds more than maxInflated bytes may hold maxInflation times as many
	// as were sent. Deflate could make a thousand of one.
	maxInflated  = 64 << 20
	maxInflation = 100
)

// roundTrip sends a request and makes the answer readable.
func (c *httpClient) roundTrip(host Host, req *http.Request) (*http.Response, error) {
	res, err := host.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := decode(res); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

// decode makes the body of an answer readable. Requests accept no coding but
// identity; some servers compress all the same.
func decode(res *http.Response) error {
	switch coding := strings.ToLower(strings.TrimSpace(strings.Join(res.Header["Content-Encoding"], ","))); coding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		res.ContentLength = -1
		res.Body = &inflated{body: res.Body}
		return nil
	default:
		return fmt.Errorf("%w: the answer has the content coding %q, and the request accepts only identity", ErrProtocol, snippet([]byte(coding)))
	}
}

// inflated is a body that was compressed by gzip.
type inflated struct {
	body    io.ReadCloser
	reader  *gzip.Reader // nil before the first Read
	in, out int64
}

// Read implements io.Reader. It waits for the first bytes of the body only when
// it is called: a stream may have none for long.
func (b *inflated) Read(p []byte) (int, error) {
	if b.reader == nil {
		r, err := gzip.NewReader(counted{b})
		if err != nil {
			return 0, b.explain(err)
		}
		b.reader = r
	}
	n, err := b.reader.Read(p)
	b.out += int64(n)
	if b.out > maxInflated && b.out > maxInflation*b.in {
		return n, fmt.Errorf("%w: the answer is compressed too well: %d bytes hold more than %d", ErrProtocol, b.in, b.out)
	}
	return n, b.explain(err)
}

// explain says that the coding is broken; the end, also an early one, is not.
func (b *inflated) explain(err error) error {
	if err == gzip.ErrHeader || err == gzip.ErrChecksum { //nolint:errorlint // gzip returns them bare
		return fmt.Errorf("%w: the answer is no gzip, as its Content-Encoding says: %w", ErrProtocol, err)
	}
	return err
}

func (b *inflated) Close() error { return b.body.Close() }

// counted is the compressed body, which it counts.
type counted struct{ *inflated }

func (c counted) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	c.in += int64(n)
	return n, err
}
