package market_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sockscope/sockscope/demo/use/market"
)

func Example() {
	m, err := market.New(market.Config{})
	if err != nil {
		panic(err)
	}
	http.Handle("/market", m.Handler()) // the truth
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	m.Run(ctx, time.Second, func(b market.Batch) { // the trigger
		fmt.Println(b.FirstSeq, b.LastSeq, len(b.Ticks))
	})
}

func ExampleMarket_Tick() {
	m, err := market.New(market.Config{})
	if err != nil {
		panic(err)
	}
	n := m.At(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC))
	tick := m.Tick("ACME", n)
	fmt.Printf("%d %s %d.%02d\n", tick.Seq, tick.Time.Format(time.RFC3339), tick.Price/100, tick.Price%100)
	// Output: 17673662450 2026-01-02T15:04:05Z 501.94
}
