package config

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// text is a scalar after substitution.
type text struct {
	value string
	// written is the value as it stands in the file.
	written string
	// substituted: the environment has a part in value.
	substituted bool
	// plain: the value may be taken for a number or a bool.
	plain bool
}

// shown stands for the value in messages: the file's own text, since what the
// environment holds may be a secret.
func (t text) shown() string {
	shown := strconv.Quote(clip(t.written))
	if t.substituted {
		shown += " (after substitution)"
	}
	return shown
}

// text substitutes the environment in a scalar.
func (d *decoder) text(n *node) (text, error) {
	t := text{value: n.text, written: n.text, plain: n.plain}
	if d.env == nil {
		return t, nil
	}
	value, err := Expand(n.text, d.env)
	if err != nil {
		return t, err
	}
	if strings.Contains(n.text, "${") {
		t.substituted = true
		// Inside [] and {} there is no way to write ${PORT} without quotes.
		t.plain = t.plain || n.flow
	}
	t.value = value
	return t, nil
}

// set puts a scalar into v. The value of a string is set even when a rule
// refuses it, so that references to it are not reported as well.
func (s *spec) set(v reflect.Value, t text) error {
	switch s.shape {
	case shapeString:
		err := s.word(t)
		if err == nil {
			err = s.fits(t)
		}
		if err != nil {
			if s.enum == nil {
				v.SetString(t.value)
			}
			return err
		}
		v.SetString(t.value)
	case shapeText:
		if err := s.word(t); err != nil || t.value == "" && s.emptyIsAbsent {
			return err
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(t.value)); err != nil {
			switch {
			case s.typ == reflect.TypeFor[netip.Prefix]():
				return fmt.Errorf("%s is no CIDR; write it like 10.0.0.0/8, or 10.0.0.1/32 for one address", t.shown())
			case t.substituted: // err may quote the value
				return fmt.Errorf("%s is not valid here", t.shown())
			}
			return fmt.Errorf("%s is not valid here: %w", t.shown(), err)
		}
		return s.fits(t) // after the error of the type, which says more
	case shapeValue:
		if t.value == "" && s.nonEmpty {
			return errEmpty
		}
		v.Set(reflect.ValueOf(Value{Text: t.value}))
	case shapeBool:
		if err := s.unquoted(t); err != nil {
			return err
		}
		b, ok := map[string]bool{"true": true, "false": false}[t.value]
		if !ok {
			return fmt.Errorf("expected true or false, not %s", t.shown())
		}
		v.SetBool(b)
	default:
		if err := s.unquoted(t); err != nil {
			return err
		}
		number, err := s.number(t.value)
		switch {
		case err != nil && t.substituted: // err may quote the value
			return fmt.Errorf("expected %s, not %s", s.expected(), t.shown())
		case err != nil:
			return fmt.Errorf("%s %w", t.shown(), err)
		}
		if err := s.bounds(number, t); err != nil {
			return err
		}
		v.Set(number.Convert(s.typ))
	}
	return nil
}

var errEmpty = errors.New("must not be empty")

// word applies the rules for strings, but for the pattern.
func (s *spec) word(t text) error {
	switch {
	case t.value == "" && s.nonEmpty:
		return errEmpty
	case t.value == "" && s.emptyIsAbsent:
		return nil
	case slices.Contains(s.later, t.value):
		return fmt.Errorf("%s is not supported by this version", t.shown())
	case s.enum != nil && !slices.Contains(s.enum, t.value):
		return fmt.Errorf(`%s is not one of "%s"%s`, t.shown(), strings.Join(s.enum, `", "`), s.suggest(t))
	}
	return nil
}

// fits applies the pattern.
func (s *spec) fits(t text) error {
	if s.pattern == nil || t.value == "" && s.emptyIsAbsent || s.pattern.MatchString(t.value) {
		return nil
	}
	return fmt.Errorf("%s does not match %s", t.shown(), trimAnchors(s.pattern))
}

func (s *spec) suggest(t text) string {
	if t.substituted {
		return ""
	}
	return Suggest(t.value, s.enum)
}

func trimAnchors(re *regexp.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(re.String(), "^(?:"), ")$")
}

// unquoted refuses "8080" where 8080 is meant. A duration, size or percentage
// is a string to YAML either way.
func (s *spec) unquoted(t text) error {
	switch s.shape {
	case shapeDuration, shapeSize, shapePercent:
		return nil
	}
	if !t.plain {
		return fmt.Errorf("expected %s, not a string; remove the quotes", s.expected())
	}
	return nil
}

// bounds applies min and max. What is measured cannot be negative unless min
// says so.
func (s *spec) bounds(number reflect.Value, t text) error {
	least := s.min
	if least == "" && s.shape != shapeInt && s.shape != shapeFloat {
		least = map[shape]string{shapeDuration: "0s", shapeSize: "0", shapePercent: "0%", shapeUint: "0"}[s.shape]
	}
	if least != "" {
		if bound, err := s.number(least); err == nil && compare(number, bound) < 0 {
			return fmt.Errorf("%s is too small; the least is %s", t.shown(), least)
		}
	}
	if s.max != "" {
		if bound, err := s.number(s.max); err == nil && compare(number, bound) > 0 {
			return fmt.Errorf("%s is too large; the most is %s", t.shown(), s.max)
		}
	}
	if reflect.Zero(s.typ).CanInt() && reflect.Zero(s.typ).OverflowInt(number.Int()) ||
		reflect.Zero(s.typ).CanUint() && reflect.Zero(s.typ).OverflowUint(number.Uint()) {
		return fmt.Errorf("%s is too large", t.shown())
	}
	return nil
}

func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(a.Float(), b.Float())
}

var (
	wholeNumber   = regexp.MustCompile(`^[-+]?(?:0|[1-9][0-9]*)$`)
	decimalNumber = regexp.MustCompile(`^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$`)
)

// number parses what can be compared. Its errors continue the sentence that
// begins with the value.
func (s *spec) number(value string) (reflect.Value, error) {
	switch s.shape {
	case shapeDuration:
		d, err := parseDuration(value)
		return reflect.ValueOf(d), err
	case shapeSize:
		n, err := ParseSize(value)
		return reflect.ValueOf(n), err
	case shapePercent:
		digits, ok := strings.CutSuffix(value, "%")
		switch {
		case !decimalNumber.MatchString(digits):
			return reflect.Value{}, errors.New("is no percentage; write it like 20%")
		case !ok:
			return reflect.Value{}, fmt.Errorf("has no unit; write %s%%", digits)
		}
		p, err := strconv.ParseFloat(digits, 64)
		return reflect.ValueOf(Percent(p)), err
	case shapeInt, shapeUint:
		if !wholeNumber.MatchString(value) {
			return reflect.Value{}, errors.New("is no whole number")
		}
		if s.shape == shapeUint && !strings.HasPrefix(value, "-") {
			n, err := strconv.ParseUint(strings.TrimPrefix(value, "+"), 10, 64)
			return reflect.ValueOf(n), outOfRange(err)
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err == nil && s.shape == shapeUint && n < 0 {
			return reflect.Value{}, errors.New("is too small; the least is 0")
		}
		return reflect.ValueOf(n), outOfRange(err)
	case shapeFloat:
		if !decimalNumber.MatchString(value) {
			return reflect.Value{}, errors.New("is no number")
		}
		f, err := strconv.ParseFloat(value, 64)
		return reflect.ValueOf(f), outOfRange(err)
	}
	return reflect.Value{}, errors.New("cannot be compared")
}

func outOfRange(err error) error {
	if err != nil {
		return errors.New("is out of range")
	}
	return nil
}

// expected names what a value should have been.
func (s *spec) expected() string {
	switch s.shape {
	case shapeBool:
		return "true or false"
	case shapeInt, shapeUint:
		return "a whole number"
	case shapeFloat:
		return "a number"
	case shapeDuration:
		return "a duration such as 15s"
	case shapeSize:
		return "a size such as 64KiB"
	case shapePercent:
		return "a percentage such as 20%"
	case shapeFile, shapeSecret:
		return "the path of a file"
	case shapeValue:
		return "a string or {file: path}"
	case shapePointer:
		return s.elem.expected()
	case shapeList:
		return "a list"
	case shapeMap:
		return "a mapping"
	case shapeStruct:
		if s.fields.shorthand != nil {
			return "a mapping or " + s.fields.shorthand.expected()
		}
		return "a mapping"
	}
	return "a string"
}
