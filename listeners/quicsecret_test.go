package listeners

import "testing"

// A configuration that is rejected after its secret was taken leaves the one in
// force.
func TestASecretIsTakenBack(t *testing.T) {
	s := NewSockets(nil)
	s.UseSecret([]byte("the secret in force, of enough bytes"))
	before := *s.quicKeys
	s.UseSecret([]byte("another secret, of a rejected file.."))()
	if *s.quicKeys != before {
		t.Error("the keys are of the rejected secret")
	}
	s.UseSecret(nil)()
	if s.quicKeys == nil || *s.quicKeys != before {
		t.Error("the keys are gone with a file that has no secret and was rejected")
	}
	if s.UseSecret(nil); s.quicKeys != nil {
		t.Error("the keys outlive their secret")
	}
}
