//go:build !linux

package proxy

import (
	"os"
	"time"
)

func fileState(st os.FileInfo) (state string, changed time.Time) { return portableFileState(st) }
