//go:build !linux

package process

import (
	"os"
	"syscall"
)

// processAttributes puts a child into a process group of its own. That it dies
// with the gateway is left to the end of its stdin.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func awaitExit(p *os.Process) { _, _ = p.Wait() }
