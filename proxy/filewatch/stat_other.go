//go:build !linux

package filewatch

import (
	"fmt"
	"os"
)

// fileState tells two states of a file apart.
func fileState(st os.FileInfo) string {
	return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano())
}
