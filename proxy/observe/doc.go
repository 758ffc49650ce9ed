// Package observe turns what the other packages tell into lines of the log and
// into metrics: one file a package that tells it.
//
// A metric is defined in the file of its source, beside the function that counts it,
// and has its line in docs/METRICS.md. Whatever becomes a label stays in memory for
// as long as its series: labels are bounded by the configuration, and neither by
// clients nor by DNS. Everything in this package is safe for concurrent use.
package observe
