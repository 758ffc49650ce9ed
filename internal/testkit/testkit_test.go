package testkit_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// recorder is a test that keeps how it failed.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	panic(r)
}

// failure is how f's test failed, "" if it did not.
func failure(f func(t testing.TB)) string {
	r := &recorder{}
	func() {
		defer func() { _ = recover() }()
		f(r)
	}()
	return r.failure
}

func TestWaitingEndsWithWhatIsWaitedForOrWithTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, never := time.Now(), make(chan int)
		time.AfterFunc(time.Second, func() { close(never) })
		testkit.Receive(t, never, "the end")
		testkit.Eventually(t, "three seconds", func() bool { return time.Since(begun) > 3*time.Second })
		if waited := time.Since(begun); waited > 4*time.Second {
			t.Errorf("it took %v", waited)
		}
		for name, c := range map[string]struct {
			wait func(t testing.TB)
			want string
			over bool // all of the patience
		}{
			"never":   {func(t testing.TB) { testkit.Eventually(t, "snow", func() bool { return false }) }, "waiting for snow: it never happened", true},
			"failing": {func(t testing.TB) { testkit.Retry(t, "snow", func() error { return errors.New("sun") }) }, "waiting for snow: sun", true},
			"fatal":   {func(t testing.TB) { testkit.Retry(t, "snow", func() error { return testkit.Fatal(errors.New("May")) }) }, "waiting for snow: May", false},
			"silent":  {func(t testing.TB) { testkit.Receive(t, make(chan int), "snow") }, "waiting for snow: it never happened", true},
		} {
			begun := time.Now()
			if got := failure(c.wait); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
			if waited := time.Since(begun); c.over != (waited >= testkit.Patience) {
				t.Errorf("%s: it took %v", name, waited)
			}
		}
	})
}

func TestAFreePortCanBeHadForBoth(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	u.Close()
}
