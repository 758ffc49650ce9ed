package transport

import (
	"errors"
	"io"
)

// body is what both kinds of response body have in common.
type body struct {
	io.ReadCloser
	x *exchange
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && (!errors.Is(err, io.EOF) || b.x.wasEnded() != nil) {
		// A connection that we close can also look as if the server had.
		err = b.x.explain(err)
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.x.finish()
	return err
}

// streamBody is over at its end, even if the caller does not close it.
type streamBody struct{ body }

func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil {
		b.x.finish()
	}
	return n, err
}

// upgradedBody is the connection after 101 Switching Protocols. At the end of
// what the server sends, there may still be something to write.
type upgradedBody struct {
	body
	io.Writer
}

// CloseWrite half-closes the connection where it can be.
func (b *upgradedBody) CloseWrite() error { return closeWrite(b.Writer) }
