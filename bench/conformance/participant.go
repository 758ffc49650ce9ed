package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// participant is one client with its one session, which it keeps to the end.
type participant struct {
	client   sdk
	way      int
	home     string // the trial's name, the prefix of its resources in a federation
	revision string

	answers chan answer
	program *program
	asks    *json.Encoder
	dead    error
	// outcome says, for each thing that was tried, ok or what went wrong.
	outcome map[string]string
	// calls is how many it made while the server was restarted ten times, excused
	// how many of them were lost with a reason.
	calls, excused int
	good           atomic.Int64 // calls that succeeded
}

// answer is a line of a client: the answer to a question, or what it is told
// in between.
type answer struct {
	OK       json.RawMessage `json:"ok"`
	Error    string          `json:"error"`
	Progress float64         `json:"progress"`
	Log      any             `json:"log"`
}

// question is what a client is asked to do.
type question struct {
	Do        string         `json:"do"`
	Name      string         `json:"name,omitempty"`
	Arguments map[string]any `json:"arguments,omitempty"`
}

const (
	// patience is how long an answer may take, and starting how long a client,
	// on a machine that does much else.
	patience = 30 * time.Second
	starting = 2 * time.Minute
	// late is how long after its call's result a message may come, which
	// transports with several streams do not order.
	late = 2 * time.Second
)

// participate starts a client and waits until it is connected.
func participate(ctx context.Context, p *trial, client sdk, way int) *participant {
	v := &participant{client: client, way: way, home: p.name(), answers: make(chan answer, 64), outcome: map[string]string{}}
	v.program, v.dead = client.client.start(ctx, nil, append([]string{p.over}, p.target(way)...)...)
	if v.dead != nil {
		close(v.answers)
		v.note("connect", v.dead)
		return v
	}
	v.asks = json.NewEncoder(v.program.in)
	go func() {
		defer close(v.answers)
		lines := bufio.NewScanner(v.program.out)
		for lines.Scan() {
			var a answer
			if json.Unmarshal(lines.Bytes(), &a) == nil {
				v.answers <- a
			}
		}
	}()
	said, _, err := v.wait(starting)
	v.note("connect", err)
	if err != nil {
		v.dead = err
	}
	_ = json.Unmarshal(said, &v.revision)
	return v
}

// leave ends the client.
func (v *participant) leave() {
	if v.program == nil {
		return
	}
	_ = v.program.in.Close()
	timer := time.AfterFunc(grace, func() { v.program.signal(syscall.SIGKILL) })
	defer timer.Stop()
	go func() {
		for range v.answers { // until it has ended
		}
	}()
	<-v.program.done
}

// note sets the outcome of one thing.
func (v *participant) note(what string, err error) {
	v.outcome[what] = "ok"
	if err != nil {
		v.outcome[what] = err.Error()
	}
}

// events are what a client was told.
type events struct {
	progress []float64
	logs     []string
}

func (e *events) add(a answer) {
	if a.Progress != 0 {
		e.progress = append(e.progress, a.Progress)
	}
	if a.Log != nil {
		e.logs = append(e.logs, fmt.Sprint(a.Log))
	}
}

func (v *participant) send(q question) {
	if v.dead == nil {
		_ = v.asks.Encode(q) // a client that has ended does not answer
	}
}

// wait returns the answer to what was asked, and what was told before it.
func (v *participant) wait(within time.Duration) (json.RawMessage, events, error) {
	var told events
	if v.dead != nil {
		return nil, told, v.dead
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case a, ok := <-v.answers:
			switch {
			case !ok:
				v.dead = fmt.Errorf("the client ended: %s", lastLines(v.program.noise.String()))
				return nil, told, v.dead
			case a.OK != nil:
				return a.OK, told, nil
			case a.Error != "":
				return nil, told, fmt.Errorf("%s", a.Error)
			}
			told.add(a)
		case <-timer.C:
			v.dead = fmt.Errorf("no answer within %s", within)
			return nil, told, v.dead
		}
	}
}

// more collects what is told after an answer, until enough says it suffices.
func (v *participant) more(told *events, enough func() bool) {
	timer := time.NewTimer(late)
	defer timer.Stop()
	for !enough() && v.dead == nil {
		select {
		case a, ok := <-v.answers:
			if !ok {
				return
			}
			told.add(a)
		case <-timer.C:
			return
		}
	}
}

// told waits until the client gets a message of progress.
func (v *participant) told(within time.Duration) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for v.dead == nil {
		select {
		case a, ok := <-v.answers:
			if !ok || a.Progress != 0 {
				return
			}
			if a.OK != nil || a.Error != "" {
				v.answers <- a // the call has ended already
				return
			}
		case <-timer.C:
			return
		}
	}
}

func (v *participant) ask(q question) (string, events, error) {
	v.send(q)
	said, told, err := v.wait(patience)
	var text string
	if json.Unmarshal(said, &text) != nil {
		text = string(said)
	}
	return text, told, err
}

// tool is a question: the call of one of the server's tools.
func (v *participant) tool(name string, arguments map[string]any) question {
	if arguments == nil {
		arguments = map[string]any{}
	}
	return question{Do: "call", Name: v.name(name), Arguments: arguments}
}

// name is what the client sees a tool or prompt called.
func (v *participant) name(name string) string {
	if zooWays[v.way] == "federation" {
		return "zoo__" + name
	}
	return name
}

// listed begins the text about a list that is not as wanted.
const listed = "listed are "

// list checks that exactly the names wanted are listed, those of the
// companion aside.
func (v *participant) list(what string, want ...string) error {
	said, _, err := v.ask(question{Do: what})
	if err != nil {
		return err
	}
	var names []string
	if err := json.Unmarshal([]byte(said), &names); err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, companion) })
	slices.Sort(names)
	if !slices.Equal(names, want) {
		return fmt.Errorf("%s%s", listed, names)
	}
	return nil
}
