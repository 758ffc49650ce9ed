// Command pressure runs the gateway with a memory limit, and attacks it with
// clients and servers that make it keep as much as they can: bodies that do not
// end, answers that clients read slowly or not at all, large answers of commands,
// events that are kept to be resumed from, abandoned sessions. Meanwhile an honest
// client asks for /health and calls a tool.
//
// A run fails where the process ends, takes more than -limit of the machine's
// memory, does not answer /health within a second, answers a call with anything
// but its result or a 503 with Retry-After, or has not returned its memory a
// minute after. The gateway's own limit is 80 % of
// -limit, as it is in a cgroup of that size, where the kernel would end the
// process for what fails here.
package main
