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
	pos, err := strconv.Atoi(digits)
	if !ok || stream == "" || len(id) > longest || err != nil || pos < 0 || strconv.Itoa(pos) != digits {
		return "", 0, false
	}
	return stream, pos, true
}
