package eventstream

import (
	"strconv"
	"strings"
)

// eventID is an event's id: the stream, and the position in it.
func eventID(stream string, pos int) string {
	return stream + "-" + strconv.Itoa(pos)
}

// parseEventID takes an event id of ours apart.
func parseEventID(id string) (stream string, pos int, ok bool) {
	const longest = 64
	stream, digits, ok := strings.Cut(id, "-")
	if !ok || stream == "" || len(id) > longest || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", 0, false
	}
	pos, err := strconv.Atoi(digits)
	return stream, pos, err == nil && strconv.Itoa(pos) == digits
}
