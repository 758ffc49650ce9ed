// Command pressure runs the gateway with a memory limit under clients and
// servers that make it keep what they can: bodies that do not end, answers that
// are not read or slowly, large answers of commands, events that are kept to be
// resumed from, sessions that are left. Meanwhile an honest client asks for /health and calls a tool.
//
// A run fails where the process ends, takes more than -limit of the machine's
// memory, does not answer /health within a second, answers a call with anything
// but its result or a 503 with Retry-After, or has not returned its memory a
// minute after. The gateway's own limit is 80 % of
// -limit, as it is in a cgroup of that size, where the kernel would end the
// process for what fails here.
package main
