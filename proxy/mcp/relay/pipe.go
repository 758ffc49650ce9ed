package relay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// writer writes messages, one a line.
type writer struct {
	mu     sync.Mutex
	out    io.Writer
	broken func(error)
}

func (w *writer) write(msg []byte) {
	line := jsonrpc.Line(msg)
	w.mu.Lock()
	_, err := w.out.Write(line)
	w.mu.Unlock()
	if err != nil {
		w.broken(fmt.Errorf("writing to the client: %w", err))
	}
}

// pass writes a message as it came.
func (w *writer) pass(m *jsonrpc.Message) { w.write(m.Raw()) }

// readLines hands on each line that is not blank, until in ends. One that is
// too long is passed over.
func readLines(ctx context.Context, in io.Reader, lines chan<- []byte, log func(string)) error {
	reader := bufio.NewReader(in)
	for {
		line, long, err := readLine(reader)
		if long {
			log(fmt.Sprintf("a line of more than %d bytes was passed over", maxMessage))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && !long {
			select {
			case lines <- line:
			case <-ctx.Done():
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading from the client: %w", err)
		}
	}
}

func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxMessage; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

// parse reads the messages of a line: one, or those of a batch (2025-03-26),
// which are sent and answered one by one. refuse gets why something is no message,
// and what the client is answered, nil where it waits for no answer.
func parse(line []byte, refuse func(why error, answer []byte)) (messages []*jsonrpc.Message) {
	parts := []json.RawMessage{line}
	if line[0] == '[' {
		if err := json.Unmarshal(line, &parts); err != nil {
			refuse(err, nil)
			return nil
		}
	}
	for _, part := range parts {
		m, err := jsonrpc.Parse(part)
		if err == nil {
			messages = append(messages, m)
			continue
		}
		var answer []byte
		var asked struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(part, &asked) == nil && asked.Method != "" {
			if v, invalid := jsonrpc.ParseValue(asked.ID); invalid == nil && !v.ID().IsZero() {
				answer = jsonrpc.NewError(v.ID(), jsonrpc.CodeInvalidRequest, err.Error(), nil)
			}
		}
		refuse(err, answer)
	}
	return messages
}
