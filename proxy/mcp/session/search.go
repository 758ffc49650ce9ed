package session

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// searchAge is how long it is believed that a list lacks what it lacked.
	searchAge = time.Second
	// maxSearches bounds what is remembered of one list; what comes beyond is
	// searched for and not remembered.
	maxSearches = 1024
)

// searches are the walks through lists for names that are not known: clients
// choose the names, and each walk costs the server all pages of its list. Those
// who see the same list have one walk at a time, and one that came to the end
// answers for all names for a moment.
type searches struct {
	age time.Duration

	mu sync.Mutex
	of map[searched]map[searcher]*search
}

// searched is a list of a cluster, or of all clusters of a route where that is
// "".
type searched struct{ route, cluster, method string }

// searcher tells who sees the same list: a session, or those who have none and
// say the same of themselves, with the same headers for the server.
type searcher struct {
	session *session
	key     keptKey
	headers [sha256.Size]byte
}

// search is the walk of one searcher. What follows is guarded by searches.mu.
type search struct {
	over chan struct{} // closed when the walk ends; nil: none is under way
	// complete is when the last one came to the end.
	complete time.Time
}

func newSearches() *searches {
	return &searches{age: searchAge, of: map[searched]map[searcher]*search{}}
}

// begin returns the search that the caller is to make, and end; or else when the
// one under way is over; or else that the last one has found all that there is.
func (all *searches) begin(what searched, who searcher) (mine *search, over <-chan struct{}, complete bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	of := all.of[what]
	if of == nil {
		of = map[searcher]*search{}
		all.of[what] = of
	}
	s := of[who]
	switch {
	case s != nil && s.over != nil:
		return nil, s.over, false
	case s != nil && time.Since(s.complete) < all.age:
		return nil, nil, true
	case s == nil:
		s = &search{}
		if len(of) < maxSearches {
			of[who] = s
		}
	}
	s.over = make(chan struct{})
	return s, nil, false
}

// end ends a search; complete says that all that there is was found.
func (all *searches) end(what searched, who searcher, s *search, complete bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	close(s.over)
	s.over = nil
	if complete {
		s.complete = time.Now()
	} else if of := all.of[what]; of[who] == s {
		delete(of, who)
	}
}

// forget forgets what was found about a list, also by searches under way.
func (all *searches) forget(route, cluster, method string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.of, searched{route, cluster, method})
	delete(all.of, searched{route, "", method})
}

// forgetAll forgets everything.
func (all *searches) forgetAll() {
	all.mu.Lock()
	defer all.mu.Unlock()
	clear(all.of)
}

// expire forgets what is too old to be believed.
func (all *searches) expire() {
	all.mu.Lock()
	defer all.mu.Unlock()
	for what, of := range all.of {
		maps.DeleteFunc(of, func(_ searcher, s *search) bool { return s.over == nil && time.Since(s.complete) >= all.age })
		if len(of) == 0 {
			delete(all.of, what)
		}
	}
}

// search looks for a name: by known, or else by walk, which learns what there is
// and reports whether that is all.
func (r resolver) search(ctx context.Context, cluster, method string, known func() bool, walk func() (complete bool, err error)) (found bool, err error) {
	all, what, who := r.session.registry.searches, searched{r.session.route, cluster, method}, r.searcher()
	for {
		mine, over, complete := all.begin(what, who)
		if mine != nil {
			defer func() { all.end(what, who, mine, complete) }()
			if !known() { // a search may have ended since the caller has looked
				complete, err = walk()
			}
			return known(), err
		}
		if known() {
			return true, nil
		}
		if complete {
			return false, nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// searcher tells who sees the same lists as the caller.
func (r resolver) searcher() searcher {
	who := searcher{session: r.session}
	if r.session.sessionless {
		who = searcher{key: r.session.key}
	}
	var text strings.Builder
	header := slot.Lasting(r.Header)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if strings.HasPrefix(name, spec.HeaderParam) {
			continue // it concerns no list
		}
		for _, value := range header[name] {
			text.WriteString(name + ": " + value + "\n")
		}
	}
	who.headers = sha256.Sum256([]byte(text.String()))
	return who
}
