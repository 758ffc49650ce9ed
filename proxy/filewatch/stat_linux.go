package filewatch

import (
	"fmt"
	"os"
	"syscall"
)

// fileState tells two states of a file apart. The time of the last status
// change, unlike that of modification, cannot be put back by a tool.
func fileState(st os.FileInfo) string {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d %d:%d %d.%d", s.Size, s.Dev, s.Ino, s.Ctim.Sec, s.Ctim.Nsec)
	}
	return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano())
}
