package demo

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

// python returns a Python that has the library that the foreign peer is written with.
func python(t *testing.T) string {
	t.Helper()
	var said bytes.Buffer
	for _, name := range []string{"/usr/bin/python3", "python3"} { // Debian's packages are seen by Debian's Python only
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-c", "import websockets")
		cmd.Stderr = &said
		if cmd.Run() == nil {
			return path
		}
	}
	t.Fatalf("this test talks with a client in Python: it needs the module websockets, which make test installs on Debian\n%s", &said)
	return ""
}

// TestForeignPeer talks with a client in another language, by a library that none of this is tested with otherwise.
func TestForeignPeer(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	for name, tc := range map[string]struct {
		above int
		want  string
	}{
		"plain":      {0, ""},
		"compressed": {200, " permessage-deflate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{CompressAbove: tc.above})
			ben := f.dial("Ben")
			ben.join("lobby")
			ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, interpreter, "testdata/peer.py", "ws"+strings.TrimPrefix(f.http.URL, "http")+"/ws", f.token("Ada"))
			cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
			var said, complaints bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &complaints
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			cmd.WaitDelay = time.Second
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				for {
					_, data, err := ben.conn.Read(ctx)
					if err != nil {
						return
					}
					if !bytes.Contains(data, []byte(`"type":"message"`)) {
						continue
					}
					answer, err := wire.NewFrame(wire.TypeMessage, "", wire.MessagePayload{Room: "lobby", Text: "ahoi"})
					if err != nil {
						t.Error(err)
						return
					}
					if err := ben.conn.Write(ctx, 1, answer.Data); err != nil {
						t.Error(err)
					}
					return
				}
			}()
			if err := cmd.Wait(); err != nil {
				t.Errorf("the peer fails: %v\n%s", err, &complaints)
			}
			cancel()
			<-answered
			want := `refused 401
token by subprotocol Ada selects sockscope.json
oversize 1009
not UTF-8 1007
reserved opcode 1002
left 1000
welcome Ada by sockscope.json
extensions` + tc.want + `
ack True True 1
message Ada True 1
answer Ben ahoi
pong
`
			if diff := cmp.Diff(want, said.String()); diff != "" {
				t.Errorf("what the peer has seen (-want +got):\n%s", diff)
			}
			f.awaitMetrics(map[string]float64{
				"disconnections_total local message_too_big": 1,
				"disconnections_total local protocol_error":  2,
				"disconnections_total remote normal":         3,
			}, "websocket_disconnections_total")
		})
	}
}
