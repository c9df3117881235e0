package bot

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/internal/upstream"
)

func TestDecodeBatch(t *testing.T) {
	tick := func(seq, rest string) string { return `{"symbol":"ONE","seq":` + seq + `,` + rest + `}` }
	good := `"price":100,"size":1`
	for name, tc := range map[string]struct {
		payload, err string
	}{
		"one":            {`{"firstSeq":7,"lastSeq":7,"ticks":[` + tick("7", good) + `]}`, ""},
		"two symbols":    {`{"firstSeq":7,"lastSeq":8,"ticks":[` + strings.Join([]string{tick("7", good), tick("7", good), tick("8", good)}, ",") + `]}`, ""},
		"nothing":        {``, "unexpected end"},
		"null":           {`null`, "not the range"},
		"no ticks":       {`{"firstSeq":7,"lastSeq":7}`, "not the range"},
		"no number":      {`{"firstSeq":0,"lastSeq":0,"ticks":[` + tick("0", good) + `]}`, "not the range"},
		"negative":       {`{"firstSeq":-1,"lastSeq":0,"ticks":[]}`, "cannot unmarshal"},
		"another start":  {`{"firstSeq":6,"lastSeq":7,"ticks":[` + tick("7", good) + `]}`, "not the range"},
		"another end":    {`{"firstSeq":7,"lastSeq":8,"ticks":[` + tick("7", good) + `]}`, "not the range"},
		"a hole":         {`{"firstSeq":7,"lastSeq":9,"ticks":[` + tick("7", good) + `,` + tick("9", good) + `]}`, "9 comes after 7"},
		"backwards":      {`{"firstSeq":7,"lastSeq":7,"ticks":[` + strings.Join([]string{tick("7", good), tick("8", good), tick("7", good)}, ",") + `]}`, "7 comes after 8"},
		"for nothing":    {`{"firstSeq":7,"lastSeq":7,"ticks":[` + tick("7", `"price":0,"size":1`) + `]}`, "trades 1 for 0 cents"},
		"of nothing":     {`{"firstSeq":7,"lastSeq":7,"ticks":[` + tick("7", `"price":1,"size":0`) + `]}`, "trades 0"},
		"negative price": {`{"firstSeq":7,"lastSeq":7,"ticks":[` + tick("7", `"price":-1,"size":1`) + `]}`, "for -1 cents"},
	} {
		switch _, err := decodeBatch([]byte(tc.payload)); {
		case tc.err == "" && err != nil, tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("%s: %v, want %q", name, err, tc.err)
		}
	}
}

// FuzzDecode passes anything to the bot that a server may send. The rest of the bot must be able to use every event of
// ticks.
func FuzzDecode(f *testing.F) {
	for _, frame := range []string{
		``, `{}`, `[]`, `{"type":"ticks"}`, `{"type":"ack","messageId":"x","payload":{"success":true}}`, `{"type":"error","payload":1}`,
		`{"type":"ticks","payload":{"firstSeq":7,"lastSeq":7,"ticks":[{"symbol":"ONE","seq":7,"time":"2026-01-02T15:04:05Z","price":100,"size":1}]}}`,
		`{"type":"ticks","payload":{"firstSeq":18446744073709551615,"lastSeq":0,"ticks":[{"seq":18446744073709551615,"price":1,"size":1},{"seq":0,"price":1,"size":1}]}}`,
		`{"type":"token_expiring"}`, `{"type":"welcome","payload":{"session":"s"}}`,
	} {
		f.Add([]byte(frame))
	}
	server, err := upstream.Parse("ws://127.0.0.1:1/ws")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		b, err := New(Config{Server: server})
		if err != nil {
			t.Fatal(err)
		}
		b.answer.Store(&answer{messageID: "x", ack: make(chan wire.AckPayload, 1)})
		events, err := b.decode(nil, 0, frame)
		if err != nil {
			return
		}
		_, truth := at(t)
		for _, e := range events {
			if e.Stream != wire.StreamMarket || e.First == 0 || e.Last < e.First {
				t.Fatalf("%s: event of %s from %d to %d", frame, e.Stream, e.First, e.Last)
			}
			if _, err := b.restore(t.Context(), "", client.Snapshot{Value: truth(5)}); err != nil {
				t.Fatal(err)
			}
			_ = b.handle(t.Context(), e) // may say that what is held is wrong
		}
		if s, err := json.Marshal(b.statusRecord()); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	})
}
