package packet

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for text, want := range map[string]Packet{
		`0`:                        {Kind: Connect, Namespace: "/"},
		`0{"token":"x"}`:           {Kind: Connect, Namespace: "/", Data: raw(`{"token":"x"}`)},
		`0/feed,{}`:                {Kind: Connect, Namespace: "/feed", Data: raw(`{}`)},
		`0/feed,`:                  {Kind: Connect, Namespace: "/feed"},
		`0/feed`:                   {Kind: Connect, Namespace: "/feed"},
		`1`:                        {Kind: Disconnect, Namespace: "/"},
		`1/feed,`:                  {Kind: Disconnect, Namespace: "/feed"},
		`2["ping"]`:                {Kind: Event, Namespace: "/", Data: raw(`["ping"]`)},
		`20["ping"]`:               {Kind: Event, Namespace: "/", HasID: true, Data: raw(`["ping"]`)},
		`2/feed,17["ping",{}]`:     {Kind: Event, Namespace: "/feed", ID: 17, HasID: true, Data: raw(`["ping",{}]`)},
		`29007199254740991["x"]`:   {Kind: Event, Namespace: "/", ID: maxID, HasID: true, Data: raw(`["x"]`)},
		`317[]`:                    {Kind: Ack, Namespace: "/", ID: 17, HasID: true, Data: raw(`[]`)},
		`51-["x"]`:                 {Kind: BinaryEvent, Attachments: 1, Namespace: "/", Data: raw(`["x"]`)},
		`510-/feed,3["x"]`:         {Kind: BinaryEvent, Attachments: 10, Namespace: "/feed", ID: 3, HasID: true, Data: raw(`["x"]`)},
		`60-3[]`:                   {Kind: BinaryAck, Namespace: "/", ID: 3, HasID: true, Data: raw(`[]`)},
		`4{"message":"no"}`:        {Kind: ConnectError, Namespace: "/", Data: raw(`{"message":"no"}`)},
		`2/` + "é" + `,["ping"]`:   {Kind: Event, Namespace: "/é", Data: raw(`["ping"]`)},
		`2["` + "\u2028" + `", 1]`: {Kind: Event, Namespace: "/", Data: raw(`["` + "\u2028" + `", 1]`)},
	} {
		got, err := Parse([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"":                                   "no known kind",
		"7":                                  "no known kind",
		"x":                                  "no known kind",
		"2[\"\xff\"]":                        "not UTF-8",
		`5["x"]`:                             "how many attachments",
		`5-["x"]`:                            "how many attachments",
		`511-["x"]`:                          "how many attachments",
		`5-1-["x"]`:                          "how many attachments",
		`51["x"]`:                            "how many attachments",
		`6999999999999999999999-1[]`:         "how many attachments",
		`2/` + strings.Repeat("a", 64) + `,`: "longer than",
		`29007199254740992["x"]`:             "too large",
		`299999999999999999999["x"]`:         "too large",
		`017{}`:                              "only an event",
		`117`:                                "only an event",
		`3[]`:                                "has to have an id",
		`1{}`:                                "follows a disconnect",
		`0[]`:                                "does not hold",
		`0"x"`:                               "does not hold",
		`2`:                                  "does not hold",
		`2{}`:                                "does not hold",
		`2["x"`:                              "does not hold",
		`2["x"]]`:                            "does not hold",
		`2-1["x"]`:                           "does not hold",
		`31`:                                 "does not hold",
		`4`:                                  "does not hold",
	} {
		if p, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", text, p, err, want)
		}
	}
}

// FuzzPacket reads any packet: what is accepted is within its bounds, and is the same when it is written again.
func FuzzPacket(f *testing.F) {
	for _, seed := range []string{
		"", `0{"token":"x"}`, `2/feed,17["ping",{}]`, `51-["x",{"_placeholder":true,"num":0}]`, `61-3[]`, "2[\"\xff\"]", `1/a`, `4{}`, `2//,["x"]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if p.Attachments > maxAttachments || len(p.Namespace) > maxNamespace || p.ID > maxID || p.Data != nil && !json.Valid(p.Data) {
			t.Fatalf("%q is accepted as %+v", text, p)
		}
		again, err := Parse(p.Append(nil))
		if diff := cmp.Diff(p, again); diff != "" || err != nil {
			t.Errorf("%q, written again (%v):\n%s", text, err, diff)
		}
	})
}
