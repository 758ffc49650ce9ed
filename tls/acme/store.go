package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"github.com/mcpgateway/mcpgateway/tls/acme/lock"
)

// store is what is stored of one account: its registration, certificates with
// what belongs to them, and challenges. It may be used concurrently, and its files
// by other gateways, under the locks of what is written.
type store struct {
	storage   *storage
	locks     *lock.Locks
	issuerKey string // the authority, as part of a storage key
	holder    string // of the account, as part of one
}

// registrationKey is where the registration is stored.
func (s *store) registrationKey(file string) string {
	return path.Join(s.prefix(), "users", certmagic.StorageKeys.Safe(s.holder), file)
}

// prefix of what is stored for the authority, besides certificates.
func (s *store) prefix() string {
	return path.Join("acme", certmagic.StorageKeys.Safe(s.issuerKey))
}

// lockRegistration keeps other gateways, and other names, from registering.
func (s *store) lockRegistration(ctx context.Context) (unlock func(), err error) {
	locked, err := s.locks.Acquire(ctx, "register_"+s.registrationKey(""), "the ACME account")
	if err != nil {
		return nil, fmt.Errorf("lock the registration of the ACME account: %w", err)
	}
	return locked.Release, nil
}

func (s *store) loadRegistration(ctx context.Context) (acme.Account, error) {
	var registered acme.Account
	data, err := s.storage.Load(ctx, s.registrationKey("account.json"))
	if err != nil {
		return registered, err
	}
	key, err := s.storage.Load(ctx, s.registrationKey("account.key"))
	if err != nil {
		return registered, err
	}
	if err = json.Unmarshal(data, &registered); err == nil && registered.Location == "" {
		err = errors.New("it has no location")
	}
	if err != nil {
		return registered, &damagedError{s.registrationKey("account.json"), err}
	}
	if registered.PrivateKey, err = certmagic.PEMDecodePrivateKey(key); err != nil {
		return registered, &damagedError{s.registrationKey("account.key"), err}
	}
	return registered, nil
}

// lockKey names the lock under which the certificate of a name is ordered.
func (s *store) lockKey(name string) string { return "keep_" + s.issuerKey + "_" + name }
