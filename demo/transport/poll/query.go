package poll

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/sockscope/sockscope/demo/wire"
)

// mostWait is the longest that a poll may wait. Proxies commonly give up an answer after a minute.
const mostWait = time.Minute

// query is what a poll asks for.
type query struct {
	room  string
	after *uint64       // the last message that the client knows; nil asks for the newest messages
	wait  time.Duration // for a message if there is none; 0 for a plain poll
}

// parse reads the query of a URL. Its errors are for the client.
func parse(raw string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, fmt.Errorf("malformed query: %w", err)
	}
	var q query
	for key, all := range values {
		if len(all) != 1 {
			return query{}, fmt.Errorf("%s is given %d times: give it once", key, len(all))
		}
		switch key {
		case "room":
			q.room = all[0]
		case "after":
			seq, err := strconv.ParseUint(all[0], 10, 64)
			if err != nil {
				return query{}, fmt.Errorf("after is %q: give a sequence number, 0 for a room without messages", all[0])
			}
			q.after = &seq
		case "wait":
			q.wait, err = time.ParseDuration(all[0])
			if err != nil || q.wait < 0 || q.wait > mostWait {
				return query{}, fmt.Errorf("wait is %q: give a duration of 0s to %v, such as 30s", all[0], mostWait)
			}
		default:
			return query{}, fmt.Errorf("unknown parameter %q: there are room, after and wait", key)
		}
	}
	if err := wire.CheckRoom(q.room); err != nil {
		return query{}, err
	}
	if q.wait > 0 && q.after == nil {
		return query{}, fmt.Errorf("wait needs after: give the sequence number of the last message that you know")
	}
	return q, nil
}
