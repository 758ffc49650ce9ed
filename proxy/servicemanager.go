package proxy

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// serviceManager tells systemd about the process, in the order that
// Type=notify-reload asks for (systemd.service(5), sd_notify(3)).
type serviceManager func(state string)

func (notify serviceManager) reloading() {
	notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonicMicroseconds()))
}

func (notify serviceManager) ready(o admin.Outcome) { notify("READY=1\n" + statusOf(o)) }

func (notify serviceManager) status(o admin.Outcome) { notify(statusOf(o)) }

func (notify serviceManager) stopping() { notify("STOPPING=1") }

// maxStatus bounds STATUS, in bytes: systemd ignores a message of more than
// 4096, and would wait for READY=1 for ever.
const maxStatus = 1024

func statusOf(o admin.Outcome) string {
	status := strings.ReplaceAll(o.Line(), "\n", " ") // a line is a statement
	if len(status) > maxStatus {
		status = strings.ToValidUTF8(status[:maxStatus], "") + "…"
	}
	return "STATUS=" + status
}

// monotonicMicroseconds reads the clock that systemd compares with; Go's own
// monotonic clock has another origin.
func monotonicMicroseconds() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano() / int64(time.Microsecond)
}
