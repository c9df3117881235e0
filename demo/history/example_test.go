package history_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sockscope/sockscope/demo/history"
)

// Example has a sender that got no answer try again, and somebody who has the first message ask for the rest.
func Example() {
	dir, err := os.MkdirTemp("", "chat")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := chat(context.Background(), filepath.Join(dir, "chat.db")); err != nil {
		log.Print(err)
	}
	// Output:
	// 1 false
	// 2 false
	// 2 true
	// 2 ben hello, Ada
}

func chat(ctx context.Context, path string) error {
	store, err := history.OpenFile(path, history.Limits{})
	if err != nil {
		return err
	}
	defer store.Close()
	for _, m := range []history.Message{
		{Room: "lobby", From: "ada", ID: "fb46c6a9", Text: "hello"},
		{Room: "lobby", From: "ben", ID: "0a52b1c3", Text: "hello, Ada"},
		{Room: "lobby", From: "ben", ID: "0a52b1c3", Text: "hello, Ada"},
	} {
		saved, again, err := store.Append(ctx, m)
		if err != nil {
			return err
		}
		fmt.Println(saved.Seq, again)
	}
	missed, err := store.After(ctx, "lobby", 1, 100)
	if err != nil {
		return err
	}
	for _, m := range missed {
		fmt.Println(m.Seq, m.From, m.Text)
	}
	return nil
}
