// Package acme keeps certificates that a certificate authority hands out over
// ACME (RFC 8555): it obtains them, renews them in time, and answers the
// authority's challenges.
//
// A Manager belongs to the process, not to a generation: a certificate, an
// order under way and a failure that is being waited out all survive a reload
// that does not concern them. Commit says which names are wanted; everything
// that takes a network happens behind it, in one goroutine a name. Handshakes
// are answered from memory, until Release says that no client asks for a name.
//
// certmagic makes the keys, has them signed, and says where files are, so that
// its storages can be used. The rest of it is replaced. Its solvers open ports of
// their own, where a challenge must come in through the sockets that the gateway
// holds, so ours only remember what is to be answered. Its retries begin after a
// minute and can hold a shutdown up, so each name has a loop of its own. Its
// renewals depend on files that a power cut may have damaged, and it orders anew
// what it fails to store, so it issues into memory, and storing is done here. Its
// locks can stay held by a process that is gone, so package lock has others. Its cache fetches OCSP
// responses without a deadline while it loads a certificate, so loading and
// stapling are done here, too; the cache that it insists on stays empty.
//
// Gateways that share a storage obtain each certificate once, and answer each
// other's challenges. Everything here is safe for concurrent use.
package acme
