package config

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// File is a scalar that names a file. Load reads the file into the snapshot;
// the package configured by it receives its contents and opens nothing.
type File struct {
	// Path is absolute; relative paths are resolved against the YAML file.
	Path string
	// Data is the content as the snapshot read it, without a byte order mark. It
	// is not to be modified.
	Data []byte
	// Origin is where the content comes from when it stands in no file, and Path
	// is empty; nil for a file.
	Origin any

	memo *memo // shared by all that have this content; nil: nothing is remembered
}

// NewFile returns content that stands in no file, as it comes from origin, which
// is not nil. Its copies share what ParseOnce makes of it.
func NewFile(origin any, data []byte) File { return File{Data: data, Origin: origin, memo: new(memo)} }

// IsZero reports whether the key was absent or empty.
func (f File) IsZero() bool { return f.Path == "" && f.Origin == nil }

// Equal compares contents, not paths: moving a file changes nothing.
func (f File) Equal(o File) bool {
	return f.IsZero() == o.IsZero() && bytes.Equal(f.Data, o.Data)
}

// Secret is a File whose content is a secret: one trailing newline is
// stripped, and it never prints.
type Secret struct{ File }

// String hides the content from logs and from %v.
func (s Secret) String() string { return "[secret " + s.Path + "]" }

// Format hides the content from every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText hides the content from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Value is a string given in place, or as {file: path}.
type Value struct {
	// Text is the value itself, from whichever source.
	Text string
	// File is the absolute path when the value came from a file, else "".
	File string
}

// String hides a value that came from a file.
func (v Value) String() string {
	if v.File != "" {
		return "[secret " + v.File + "]"
	}
	return v.Text
}

// Format hides a value that came from a file from every verb.
func (v Value) Format(f fmt.State, _ rune) { io.WriteString(f, v.String()) }

// MarshalText hides a value that came from a file from encoders.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Size is a number of bytes, written as 512, 64KiB, 1MiB or 1GiB.
type Size int64

// Percent is a share in percent, written as 20%.
type Percent float64

// Path is a scalar that names something the gateway makes or enters, such as a
// log file: made absolute against the YAML file, but not read.
type Path string

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		name  string
		bytes Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// String writes the share as the file does.
func (p Percent) String() string {
	return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%"
}
