// Package config turns the gateway's YAML file, and every file it names, into
// one consistent snapshot decoded into plain structs.
//
// It knows no section of the file: each package declares its own part as a
// struct with tags, and Load decodes the sum of them strictly. Positions,
// units, environment substitution, defaults, error messages and the JSON
// Schema come from here, so that they read alike everywhere.
//
// Everything in this package is safe for concurrent use once Load returned;
// decoded values are treated as immutable.
package config
