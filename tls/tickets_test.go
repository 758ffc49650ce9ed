package tls

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTicketKeysRotateDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tickets ticketKeys
		epoch, first := tickets.at(time.Now(), 0)
		<-time.After(ticketRotation - time.Second)
		if again, _ := tickets.at(time.Now(), 0); again != epoch {
			t.Error("rotated early")
		}
		<-time.After(time.Second)
		next, keys := tickets.at(time.Now(), 0)
		if next == epoch || len(keys) != 2 || keys[0] == first[0] || keys[1] != first[0] {
			t.Error("after a day a new key should seal, and the old one open")
		}
		<-time.After(ticketRotation)
		if _, keys = tickets.at(time.Now(), 0); len(keys) != 2 || keys[1] == first[0] {
			t.Error("after two days the first key should be gone")
		}
		<-time.After(10 * ticketRotation)
		if _, keys = tickets.at(time.Now(), 0); len(keys) != 1 {
			t.Error("after a long silence no old key should open")
		}
	})
}

// Rotation waits for a handshake, the end of a key does not: whatever the hours
// of handshakes are.
func TestNoTicketKeyOpensForMoreThanTwoDays(t *testing.T) {
	for _, hours := range [][]int{{0, 47, 48, 70}, {0, 24, 47, 48}, {0, 47, 49, 71, 94, 95, 96}, {0, 23, 46, 48}} {
		synctest.Test(t, func(t *testing.T) {
			var tickets ticketKeys
			start, born := time.Now(), map[[32]byte]time.Time{}
			var epoch uint64
			var last [][32]byte
			for _, hour := range hours {
				<-time.After(time.Until(start.Add(time.Duration(hour) * time.Hour)))
				now, keys := tickets.at(time.Now(), 0)
				for i, key := range keys {
					if _, known := born[key]; !known {
						born[key] = time.Now()
					}
					if age := time.Since(born[key]); age >= 48*time.Hour || i == 0 && age >= 24*time.Hour {
						t.Errorf("handshakes at %v: at %d, key %d is %v old", hours, hour, i, age)
					}
				}
				if changed := !slices.Equal(keys, last); changed != (now != epoch) {
					t.Errorf("handshakes at %v: at %d, the keys changed: %v, the epoch: %v", hours, hour, changed, now != epoch)
				}
				epoch, last = now, keys
			}
		})
	}
}
