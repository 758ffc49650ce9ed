package config

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"unicode/utf8"
)

const (
	maxYAML  = 16 << 20 // bytes of the YAML file
	maxNamed = 8 << 20  // bytes of a file that it names: revocation lists grow
	maxFiles = 1024     // files that it names

	longestPath = 4096 // bytes of a path that Linux takes
)

// files is one reading of the YAML file and all that it names. Each is read
// once, so that two keys which name one file see one content.
type files struct {
	disk  *disk.Disk
	open  func(path string) (*os.File, error)
	order []string
	read  map[string]content
	// hung is the first path that the file system gave no answer for; "" for
	// none. No other file is read then: each would have to be waited for.
	hung string
}

type content struct {
	data  []byte
	err   error
	limit int64
	// What is made of the content as a File and as a Secret, which differ.
	file, secret *memo
}

func newFiles(opts Options) *files {
	return &files{disk: opts.Disk, open: opts.Open, read: map[string]content{}}
}

// get reads a file, whose path must be absolute, or returns what was read.
func (f *files) get(ctx context.Context, path string, limit int64) (content, error) {
	c, ok := f.read[path]
	if !ok {
		if len(f.order) > maxFiles {
			return c, fmt.Errorf("more than %d files are named", maxFiles)
		}
		c = content{limit: limit, file: new(memo), secret: new(memo)}
		c.data, c.err = f.readNow(ctx, path, limit)
		f.read[path] = c
		f.order = append(f.order, path)
	}
	return c, c.err
}

func (f *files) readNow(ctx context.Context, path string, limit int64) ([]byte, error) {
	if f.hung != "" {
		return nil, fmt.Errorf("not tried, since %w for %s", disk.ErrNoAnswer, clipTo(f.hung, longestPath))
	}
	data, err := disk.Do(ctx, f.disk, "read", path, func() ([]byte, error) { return readFile(f.open, path, limit) })
	if errors.Is(err, disk.ErrNoAnswer) {
		f.hung = path
	}
	return data, bare(err)
}

// moved names the first file that no longer reads as it did, or "". When there
// is none, all of them stood there together at the moment between the two
// readings: that makes the snapshot consistent.
func (f *files) moved(ctx context.Context) string {
	if f.hung != "" {
		return "" // the file system does not answer
	}
	for _, path := range f.order {
		was := f.read[path]
		data, err := f.readNow(ctx, path, was.limit)
		if !bytes.Equal(data, was.data) || (err == nil) != (was.err == nil) {
			return path
		}
	}
	return ""
}

// sum changes with the name, content or absence of any file.
func (f *files) sum() [32]byte {
	h := sha256.New()
	put := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	for _, path := range f.order {
		c := f.read[path]
		put([]byte(path))
		if c.err != nil {
			put([]byte("unreadable"))
			continue
		}
		put([]byte("read"))
		put(c.data)
	}
	return [32]byte(h.Sum(nil))
}

// holds reports whether data is what one of the files was read as, without a byte
// order mark.
func (f *files) holds(data []byte) bool {
	for _, c := range f.read {
		if c.err == nil && bytes.Equal(WithoutBOM(c.data), data) {
			return true
		}
	}
	return false
}

func (f *files) paths() []string { return slices.Clone(f.order) }

// openNow opens a file for reading. Without O_NONBLOCK, it would wait for the writer
// of a FIFO, maybe for ever.
func openNow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// readFile reads a regular file of at most limit bytes. Its errors do not name
// the file.
func readFile(open func(string) (*os.File, error), path string, limit int64) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, bare(err)
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	// The room beyond its size is for the read that finds the end.
	data := bytes.NewBuffer(make([]byte, 0, min(info.Size(), limit)+bytes.MinRead))
	if _, err := data.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, bare(err)
	}
	if int64(data.Len()) > limit {
		return nil, fmt.Errorf("it is larger than %s", Size(limit))
	}
	return data.Bytes(), nil
}

// bare takes the operation and the path off an error of package os.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// byteOrderMark is what editors on Windows put before UTF-8. PEM, JSON and header
// values do not know it.
const byteOrderMark = "\xef\xbb\xbf"

// WithoutBOM takes the byte order mark off a text. What is no UTF-8 is a key that
// happens to begin with these bytes.
func WithoutBOM(data []byte) []byte {
	if text, ok := bytes.CutPrefix(data, []byte(byteOrderMark)); ok && utf8.Valid(text) {
		return text
	}
	return data
}
