package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The errors of this file continue the sentence that begins with the value. They say
// which units there are, and what to write where that is plain.

var (
	sizeForm   = regexp.MustCompile(`^([0-9]+)(KiB|MiB|GiB)?$`)
	sizeWords  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *(?:([kmgt])i?b?|b|bytes?)?$`)
	timeForm   = regexp.MustCompile(`^(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+$`)
	timeWords  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([a-z]+)$`)
	sizeShifts = map[string]uint{"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
)

func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	switch {
	case err == nil:
		return d, nil
	case decimalNumber.MatchString(value):
		return 0, fmt.Errorf("has no unit; write %ss, %sms or %sm", value, value, value)
	case timeForm.MatchString(value):
		return 0, errors.New("is out of range")
	}
	if meant := meantDuration(value); meant != "" {
		return 0, fmt.Errorf("is no duration; the units are ms, s, m and h: write %s", meant)
	}
	return 0, errors.New("is no duration; the units are ms, s, m and h: write it like 15s, 10m or 1h30m")
}

// meantDuration is how to write a duration with other units or spaces, or "".
func meantDuration(value string) string {
	lower := strings.ToLower(value)
	if joined := strings.ReplaceAll(lower, " ", ""); joined != value {
		if _, err := time.ParseDuration(joined); err == nil {
			return joined
		}
	}
	m := timeWords.FindStringSubmatch(lower)
	if m == nil {
		return ""
	}
	switch strings.TrimSuffix(m[2], "s") {
	case "millisecond", "milli", "msec":
		return m[1] + "ms"
	case "second", "sec":
		return m[1] + "s"
	case "minute", "min":
		return m[1] + "m"
	case "hour", "hr":
		return m[1] + "h"
	case "d", "day":
		return hours(m[1], 24)
	case "w", "week":
		return hours(m[1], 7*24)
	}
	return ""
}

func hours(number string, each float64) string {
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*each > math.MaxInt64/float64(time.Hour) {
		return ""
	}
	return strconv.FormatFloat(n*each, 'f', -1, 64) + "h"
}

// ParseSize reads a number of bytes as Size is written. Its errors continue a sentence
// that begins with the value.
func ParseSize(value string) (Size, error) {
	m := sizeForm.FindStringSubmatch(value)
	if m == nil {
		if meant := meantSize(value); meant > 0 {
			return 0, fmt.Errorf("is no size; the units are KiB, MiB and GiB, and the number is whole: write %s", meant)
		}
		return 0, errors.New("is no size; the units are KiB, MiB and GiB, and the number is whole: write it like 512, 64KiB, 1MiB or 1GiB")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := map[string]uint{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[m[2]]
	if err != nil || n > (1<<63-1)>>shift {
		return 0, errors.New("is out of range")
	}
	return Size(n << shift), nil
}

// meantSize reads a size with another unit or a fraction. It is 0 where there is no
// such size.
func meantSize(value string) Size {
	m := sizeWords.FindStringSubmatch(strings.ToLower(value))
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	bytes := n * float64(int64(1)<<sizeShifts[m[2]])
	if err != nil || bytes != math.Trunc(bytes) || bytes >= 1<<53 {
		return 0
	}
	return Size(bytes)
}
