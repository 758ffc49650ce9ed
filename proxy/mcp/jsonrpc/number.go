package jsonrpc

import (
	"strconv"
	"strings"
)

// decimal is a number: its digits times a power of ten. The digits begin and
// end with none that is 0; zero has no digits.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// exponentDigits bounds the exponents that are reckoned with.
const exponentDigits = 9

// readDecimal reads a valid JSON number. ok is false where its exponent is too
// long.
func readDecimal(number string) (d decimal, ok bool) {
	number, d.negative = strings.CutPrefix(number, "-")
	mantissa, exponent := number, ""
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		mantissa, exponent = number[:i], number[i+1:]
	}
	if len(exponent) > 1+exponentDigits {
		return decimal{}, false
	}
	if exponent != "" {
		d.exponent, _ = strconv.Atoi(exponent) // it is a sign and a few digits
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent -= len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	d.digits = strings.TrimRight(digits, "0")
	d.exponent += len(digits) - len(d.digits)
	if d.digits == "" {
		d = decimal{}
	}
	return d, true
}

// append appends the number in the one way in which it is written here.
func (d decimal) append(b []byte) []byte {
	if d.digits == "" {
		return append(b, '0')
	}
	if d.negative {
		b = append(b, '-')
	}
	b = append(b, d.digits...)
	if d.exponent != 0 {
		b = strconv.AppendInt(append(b, 'e'), int64(d.exponent), 10)
	}
	return b
}

// mostDigits is how long an integer may be that is written with a fraction or an
// exponent.
const mostDigits = 20

// integer returns a number as an integer is written: of 5.0, 5.
func integer(number string) (digits string, ok bool) {
	if isInteger(number) {
		if number == "-0" {
			number = "0"
		}
		return number, true
	}
	d, ok := readDecimal(number)
	if !ok || d.exponent < 0 || len(d.digits)+d.exponent > mostDigits {
		return "", false
	}
	if d.digits == "" {
		return "0", true
	}
	digits = d.digits + strings.Repeat("0", d.exponent)
	if d.negative {
		digits = "-" + digits
	}
	return digits, true
}
