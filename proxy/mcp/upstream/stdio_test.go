package upstream

import (
	"errors"
	"strings"
	"testing"
)

func TestNoiseOnStdoutIsIgnored(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e)
	if s.Server().Version != "2025-06-18" || s.Rebind(e) {
		t.Errorf("version %s", s.Server().Version)
	}
	t.Logf("ignored: %v", <-s.ignored)
	if _, err := s.call("foreign"); err != nil {
		t.Error(err)
	}
	if err := <-s.ignored; !strings.Contains(err.Error(), "no such call") {
		t.Errorf("ignored: %v", err)
	}
}

func TestProcessGoneIsSessionLost(t *testing.T) {
	for method, want := range map[string]string{"exit": "exit status 3"} {
		t.Run(method, func(t *testing.T) {
			c, e := cluster(t, command("stdio-odd"))
			s := mustOpen(t, c, e)
			_, err := s.call(method)
			if !errors.Is(err, ErrSessionLost) || !strings.Contains(err.Error(), want) || Repeatable(err) {
				t.Errorf("the call in flight: %v, repeatable %v", err, Repeatable(err))
			}
			if err := <-s.closed; !errors.Is(err, ErrSessionLost) {
				t.Errorf("OnClose(%v)", err)
			}
		})
	}
}

// A process takes no message that it has no pipe for any more, whether or not
// its end is known yet.
func TestAMessageThatAProcessCannotReadIsNotSent(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e)
	if _, err := s.call("deaf"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.call("foreign"); !errors.Is(err, ErrSessionLost) || !NotSent(err) {
		t.Errorf("got %v, not sent %v", err, NotSent(err))
	}
	if err := <-s.closed; !errors.Is(err, ErrSessionLost) {
		t.Errorf("OnClose(%v)", err)
	}
}

func TestCommandThatDoesNotStart(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	c.Config().Command[0] = "/no/such/program"
	if _, err := open(t, c, e); !NotSent(err) {
		t.Errorf("open: %v", err)
	}
}
