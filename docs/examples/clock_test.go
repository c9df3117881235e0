package examples_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

func TestSilenceOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observer, err := instrument.New()
		if err != nil {
			t.Fatal(err)
		}
		_, handshake := observer.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example.com"})
		conn := handshake.Opened(http.StatusSwitchingProtocols)
		defer conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal})
		conn.BeginPing()

		time.Sleep(time.Hour) // takes no time

		if got := conn.Stats().Unanswered; got != time.Hour {
			t.Errorf("the ping has been waiting for %v, want an hour", got)
		}
	})
}
