package proxy

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// fileState tells files of equal name apart. The time of the last status
// change, unlike that of modification, cannot be put back by a tool.
func fileState(st os.FileInfo) (state string, changed time.Time) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return portableFileState(st)
	}
	changed = time.Unix(s.Ctim.Unix())
	return fmt.Sprintf("%d %d:%d %d", s.Size, s.Dev, s.Ino, changed.UnixNano()), changed
}
