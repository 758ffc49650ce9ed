package memory

// Level says how short memory is, and what is refused for that.
type Level int

const (
	// Normal refuses nothing.
	Normal Level = iota
	// High refuses new sessions and streams, from 70 % of the limit on.
	High
	// Severe refuses new bodies and answers over 64 KiB too, and events, from 85 %
	// on, and has what is idle given up.
	Severe
	// Critical says, from 95 % on, that others should be asked instead, and
	// refuses short bodies and answers too.
	Critical
	levels
)

var (
	levelNames = [levels]string{"normal", "high", "severe", "critical"}
	// levelShares are where levels begin, in percent of the limit.
	levelShares = [levels]int64{0, 70, 85, 95}
)

// String returns the level as logs name it.
func (l Level) String() string { return levelNames[l] }

// share is where a level begins, in bytes.
func share(limit int64, l Level) int64 { return limit / 100 * levelShares[l] }

// Level returns the present level.
func (b *Budget) Level() Level {
	if b == nil {
		return Normal
	}
	return levelOf(b.pressure(), b.limit.Load())
}

func levelOf(pressure, limit int64) Level {
	if limit == 0 {
		return Normal
	}
	for l := Critical; l > Normal; l-- {
		if pressure >= share(limit, l) {
			return l
		}
	}
	return Normal
}

// hysteresis is how far, in percent of the limit, the pressure has to fall below the
// begin of a level before the level is said to be left: a pressure that moves around
// a bound would otherwise fill the log.
const hysteresis = 5

// settled returns the level to report after the one that was reported last.
func settled(before Level, pressure, limit int64) Level {
	now := levelOf(pressure, limit)
	if now >= before {
		return now
	}
	return min(before, levelOf(pressure+limit/100*hysteresis, limit))
}

// Surplus is how many bytes are to be given up where memory is severely short, for
// new sessions and streams to be let in again; otherwise 0.
func (b *Budget) Surplus() int64 {
	if b.Level() < Severe {
		return 0
	}
	return b.pressure() - share(b.limit.Load(), High)
}
