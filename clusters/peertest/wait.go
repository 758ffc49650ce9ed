package peertest

import (
	"os"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// Eventually polls: nothing tells of what it waits for.
var Eventually = testkit.Eventually

// Descriptors counts this process's open files.
func Descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
