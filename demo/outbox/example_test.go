package outbox_test

import (
	"context"
	"fmt"

	"github.com/sockscope/sockscope/demo/outbox"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// A ticker to a peer that reads slowly: of each instrument only the newest price waits.
func Example() {
	busy, reads := make(chan struct{}, 8), make(chan struct{})
	out := outbox.New(outbox.Config{
		Capacity: 64,
		Policy:   outbox.Coalesce,
		Write: func(batch outbox.Batch) {
			batch.WriteEach(func(f *wire.Frame) (instrument.MessageType, int, error) {
				busy <- struct{}{}
				<-reads
				fmt.Println(string(f.Data))
				return instrument.MessageType{}, len(f.Data), nil
			})
		},
	})
	put := func(key, text string) { out.Put(&wire.Frame{Key: key, Data: []byte(text)}, nil) }
	put("", "welcome")
	<-busy // from here on the peer does not read
	put("ACME", "ACME 10")
	put("INIT", "INIT 7")
	put("ACME", "ACME 11")
	put("ACME", "ACME 12")
	close(reads)
	if err := out.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// welcome
	// ACME 12
	// INIT 7
}
