// Package config turns the gateway's YAML file, and every file it names, into
// one consistent snapshot decoded into plain structs.
//
// It knows no section of the file: each package declares its own part as a
// struct with tags, and Load decodes the sum of them strictly. Positions,
// units, environment substitution, defaults, error messages and the JSON
// Schema come from here, so that they read alike everywhere. All packages that have
// a part of the file import it, also those that package proxy imports, although
// the path of this package is below that of proxy.
//
// A field that is decoded has the tag yaml:"key". These may stand beside it:
//
//	default:"15s"      in place of an absent key; a list, map or struct as YAML: "[a, b]"
//	required:"true"    an absent key is an error, and so is an empty string
//	enum:"a,b"         the strings allowed; of a list, those of its elements
//	later:"c"          strings refused as not supported by this version
//	pattern:"[a-z]+"   what the whole of a string must match
//	min:"1" max:"9"    of numbers, durations, sizes and percentages; without min,
//	                   the last three cannot be negative
//	shorthand:"true"   a scalar in place of the struct sets this field
//	doc:"…"            one line for the schema
//	example:"…"        a sample value for the schema
//
// A blank field _ struct{} with the tag later:"a,b" names keys that are refused
// as not supported by this version. A block that is off when absent is a
// pointer to a struct; one that is on is a struct.
//
// Everything in this package is safe for concurrent use once Load returned;
// decoded values are treated as immutable.
package config
