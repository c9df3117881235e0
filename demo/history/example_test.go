package history_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sockscope/sockscope/demo/history"
)

// A sender that got no answer tries again, and somebody who has the first message asks for the rest.
func Example() {
	dir, err := os.MkdirTemp("", "chat")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := history.OpenFile(filepath.Join(dir, "chat.db"), history.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	ctx := context.Background()
	for _, m := range []history.Message{
		{Room: "lobby", From: "ada", ID: "fb46c6a9", Text: "hello"},
		{Room: "lobby", From: "ben", ID: "0a52b1c3", Text: "hello, Ada"},
		{Room: "lobby", From: "ben", ID: "0a52b1c3", Text: "hello, Ada"},
	} {
		saved, again, err := store.Append(ctx, m)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(saved.Seq, again)
	}
	missed, err := store.After(ctx, "lobby", 1, 100)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range missed {
		fmt.Println(m.Seq, m.From, m.Text)
	}
	// Output:
	// 1 false
	// 2 false
	// 2 true
	// 2 ben hello, Ada
}
