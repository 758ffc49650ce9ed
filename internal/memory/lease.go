package memory

import (
	"errors"
	"io"
)

const (
	// unnoticed is what a lease holds without any charge, in bytes: most
	// messages are shorter, and should touch nothing that others use.
	unnoticed = 8 << 10
	// step is what leases are charged in.
	step = 16 << 10
	// Large is the longest body, and the longest answer, in bytes, that is still
	// let in where memory is severely short.
	Large = 64 << 10
	// long is the least that a lease for more than Large bytes takes: the parts
	// that come, and the buffer that they are put together in.
	long = 4 * Large
)

// Lease counts what one holder keeps, such as a body that grows. The zero Lease
// charges nothing. It must not be copied once it has grown.
type Lease struct {
	budget        *Budget
	kind          Kind
	held, charged int64
}

// Lease returns an empty lease. Release returns what it takes.
func (b *Budget) Lease(k Kind) Lease { return Lease{budget: b, kind: k} }

// Grow adds n bytes, before they are there. The error is ErrExhausted, and the
// lease is as it was.
func (l *Lease) Grow(n int) error {
	held := l.held + int64(n)
	if most := chargeFor(held); l.budget != nil && most > l.charged {
		if err := l.budget.charge(l.kind, most-l.charged, held > long); err != nil {
			return err
		}
		l.charged = most
	}
	l.held = held
	return nil
}

// chargeFor is what is charged for so many bytes.
func chargeFor(held int64) int64 {
	if held <= unnoticed {
		return 0
	}
	return (held + step - 1) / step * step
}

// Reserve is Grow for a body that is about to be read. Where memory is severely
// short, it refuses long ones.
func (l *Lease) Reserve(n int) error {
	if !l.fits(int64(n)) {
		return ErrExhausted
	}
	return l.Grow(n)
}

// Force is Grow without a refusal, for a few bytes that must be kept.
func (l *Lease) Force(n int) {
	l.held += int64(n)
	if most := chargeFor(l.held); l.budget != nil && most > l.charged {
		l.budget.charged[l.kind].Add(most - l.charged)
		l.charged = most
	}
}

// fits reports whether a body of that many bytes may begin.
func (l *Lease) fits(size int64) bool {
	if l.budget == nil || l.kind != Body || size <= Large || l.budget.Level() < Severe {
		return true
	}
	l.budget.refused(l.kind)
	return false
}

// Shrink takes n of the bytes away.
func (l *Lease) Shrink(n int) {
	l.held = max(0, l.held-int64(n))
	if most := chargeFor(l.held); l.charged > most {
		l.budget.Return(l.kind, l.charged-most)
		l.charged = most
	}
}

// MoveTo gives all that the lease has to another one, which is of the same budget
// and kind, or new.
func (l *Lease) MoveTo(to *Lease) {
	if to.budget == nil {
		to.budget, to.kind = l.budget, l.kind
	}
	to.held += l.held
	to.charged += l.charged
	l.held, l.charged = 0, 0
	to.Force(0) // many that were short may be long together
}

// Held is the number of bytes.
func (l *Lease) Held() int64 { return l.held }

// Release gives everything back. The lease is empty then.
func (l *Lease) Release() {
	if l.charged > 0 {
		l.budget.Return(l.kind, l.charged)
	}
	l.held, l.charged = 0, 0
}

const (
	// firstPart is the most that is allocated for a body of which nothing has
	// come: it may be promised, and never sent.
	firstPart = 16 << 10
	// leastPart is what is allocated where no length is promised.
	leastPart = 1 << 10
	// part is what a long body grows by.
	part = 64 << 10
)

// ReadAll reads to the end of r. The lease grows with what comes, each time before
// it is read, and in the end by as much again: a body of several parts is put
// together, and goes on as an edited copy. size is the length that the peer
// promised; it is negative where it promised none. The promise of a server is
// believed: its answer takes at once what it will need, so that of many answers at
// one time some can be read to their end. Errors are those of r, or ErrExhausted.
func (l *Lease) ReadAll(r io.Reader, size int64) ([]byte, error) {
	if !l.fits(size) {
		return nil, ErrExhausted
	}
	first, again := int64(leastPart), 0
	switch {
	case size > firstPart && l.kind == Answer:
		first, again = size+1, int(size)
	case size >= 0:
		first = min(size+1, firstPart) // one more, to see the end in one read
	}
	if err := l.Grow(int(first) + again); err != nil {
		return nil, err
	}
	var body Buffer
	last := make([]byte, 0, first)
	for {
		n, err := r.Read(last[len(last):cap(last)])
		last = last[:len(last)+n]
		body.size += n
		if body.size > Large && body.size-n <= Large && !l.fits(int64(body.size)) {
			return nil, ErrExhausted // no length was promised, or a false one
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(last) < cap(last) {
			continue
		}
		body.parts = append(body.parts, last)
		next := min(2*cap(last), part)
		if err := l.Grow(next); err != nil {
			return nil, err
		}
		last = make([]byte, 0, next)
	}
	if len(body.parts) == 0 {
		return last, nil
	}
	if err := l.Grow(body.size); err != nil {
		return nil, err
	}
	body.parts = append(body.parts, last)
	return body.Bytes(), nil
}
