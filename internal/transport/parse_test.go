package transport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestReadEvent(t *testing.T) {
	t.Parallel()
	const long = 10_000 // longer than the reader's buffer
	stream := ": a comment\n\nid: 1\nevent: message\ndata: one\n\nretry: 5\n\ndata:two\r\ndata: \r\ndata:  lines\r\n\r\n" +
		"data: " + strings.Repeat("x", long) + "\n\nnothing\ndata\n\ndata: not at its end\n"
	want := []string{"one", "two\n\n lines", strings.Repeat("x", long), ""}
	r := bufio.NewReaderSize(strings.NewReader(stream), 16)
	var got []string
	for {
		var data bytes.Buffer
		if err := readEvent(r, &data); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		got = append(got, data.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	endless := bufio.NewReader(io.MultiReader(strings.NewReader("data: "), strings.NewReader(strings.Repeat("x", 2*readLimit))))
	if err := readEvent(endless, new(bytes.Buffer)); !errors.Is(err, errTooBig) {
		t.Errorf("an event without an end: %v", err)
	}
}

// FuzzReadEvent reads any stream. An event that was read is the same when it is written again.
func FuzzReadEvent(f *testing.F) {
	for _, seed := range []string{"", "data: x\n\n", "data:x\r\ndata\n\n", ":\n\nid: 1\ndata: {}\n\n", "data: x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(stream), 16)
		for range 100 {
			var data, again, written bytes.Buffer
			if readEvent(r, &data) != nil {
				return
			}
			for line := range bytes.SplitSeq(data.Bytes(), []byte("\n")) {
				written.WriteString("data: " + string(line) + "\n")
			}
			written.WriteByte('\n')
			if bytes.ContainsRune(data.Bytes(), '\r') {
				continue // it would end a line together with what follows
			}
			if err := readEvent(bufio.NewReader(&written), &again); err != nil || !bytes.Equal(data.Bytes(), again.Bytes()) {
				t.Fatalf("%q comes back as %q, %v", data.Bytes(), again.Bytes(), err)
			}
		}
	})
}

// FuzzPollAnswer has a client get any answer to a poll. It never goes back, and what it hands out can be decoded or
// not.
func FuzzPollAnswer(f *testing.F) {
	f.Add([]byte(`{"payload":{"messages":[{"seq":3,"messageId":"x"},{"seq":2}]}}`))
	f.Add([]byte(`{"payload":{"messages":[null,{"seq":18446744073709551615}]}}`))
	f.Add([]byte(`{"payload":17}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &polls{after: 7}
		if p.take(data) != nil {
			return
		}
		if p.after < 7 {
			t.Errorf("%q leads back to %d", data, p.after)
		}
		for _, message := range p.waiting {
			if !json.Valid(message) {
				t.Errorf("%q has the message %q", data, message)
			}
			if env, err := p.Decode(message); err == nil && env.Type == wire.TypeMessage && env.Seq > p.after {
				t.Errorf("%q has message %d, and the client asks for what is after %d", data, env.Seq, p.after)
			}
		}
	})
}

// FuzzSocketIOMessage has a client get any packet. A message that it hands out is an object.
func FuzzSocketIOMessage(f *testing.F) {
	for _, seed := range []string{
		"", "2", "41", `42["message",{"type":"message"},"lobby=1"]`, `42["offset",null,"x"]`, `42[]`, `42[17,{}]`, `44{"message":"no"}`, `451-["x",{}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		message, err := messageIn(data)
		if err == nil && (!json.Valid(message) || message[0] != '{') {
			t.Errorf("%q has the message %q", data, message)
		}
	})
}
