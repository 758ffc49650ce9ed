package upstream

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// zipped compresses all that a handler answers, whatever the client accepts.
type zipped struct {
	http.ResponseWriter
	zip *gzip.Writer
}

func (z *zipped) WriteHeader(status int) {
	z.Header().Set("Content-Encoding", "gzip")
	z.Header().Del("Content-Length")
	z.ResponseWriter.WriteHeader(status)
}

func (z *zipped) Write(p []byte) (int, error) {
	z.Header().Set("Content-Encoding", "gzip")
	z.Header().Del("Content-Length")
	return z.zip.Write(p)
}

func (z *zipped) Flush() {
	z.Header().Set("Content-Encoding", "gzip")
	_ = z.zip.Flush()
	_ = http.NewResponseController(z.ResponseWriter).Flush()
}

func TestAnswersThatAreCompressedUnaskedAreRead(t *testing.T) {
	for _, asJSON := range []bool{true, false} {
		server := streamableHandler(newServer(newHangs()), &mcp.StreamableHTTPOptions{JSONResponse: asJSON})
		p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Accept-Encoding"); got != "identity" {
				t.Errorf("Accept-Encoding: %q", got)
			}
			if r.Method != http.MethodPost {
				server.ServeHTTP(w, r)
				return
			}
			z := &zipped{w, gzip.NewWriter(w)}
			server.ServeHTTP(z, r)
			if z.Header().Get("Content-Encoding") != "" && z.Header().Get("Content-Type") != "" {
				_ = z.zip.Close()
			}
		})
		c, e := cluster(t, at(p.URL))
		s := mustOpen(t, c, e)
		s.mustTool("echo", `{"text":"words"}`, nil)
	}
}

func TestOtherCodingsAreNamed(t *testing.T) {
	p := plainPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typeJSON)
		w.Header().Set("Content-Encoding", "br")
		_, _ = w.Write([]byte("\x0b\x02\x80"))
	})
	c, e := cluster(t, at(p.URL))
	if _, err := open(t, c, e); !errors.Is(err, ErrProtocol) || !bytes.Contains([]byte(err.Error()), []byte(`"br"`)) {
		t.Errorf("got %v", err)
	}
}

func TestGzipIsBounded(t *testing.T) {
	inflate := func(parts ...[]byte) (int64, error) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for _, p := range parts {
			_, _ = z.Write(p)
		}
		_ = z.Close()
		res := &http.Response{Header: http.Header{"Content-Encoding": {"GZIP"}}, Body: io.NopCloser(&b)}
		if err := decode(res); err != nil {
			t.Fatal(err)
		}
		return io.Copy(io.Discard, res.Body)
	}
	zeros := make([]byte, 1<<20)
	if n, err := inflate(zeros, zeros); n != 2<<20 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	bomb := make([][]byte, 80)
	for i := range bomb {
		bomb[i] = zeros
	}
	if n, err := inflate(bomb...); !errors.Is(err, ErrProtocol) || n > maxInflated+1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	res := &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(bytes.NewReader([]byte("plain text after all")))}
	if err := decode(res); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); !errors.Is(err, ErrProtocol) {
		t.Errorf("no gzip: %v", err)
	}
}
