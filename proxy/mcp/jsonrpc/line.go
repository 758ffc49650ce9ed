package jsonrpc

// Line returns a message as one line with its end, as pipes carry it (MCP
// 2025-11-25, Transports, stdio). JSON has line breaks between its tokens only,
// where a space does as well.
func Line(msg []byte) []byte {
	b := make([]byte, 0, len(msg)+1)
	for _, c := range msg {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		b = append(b, c)
	}
	return append(b, '\n')
}
