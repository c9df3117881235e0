package notifytest

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// failure is why a notification did not arrive: the reason in Alertmanager's metrics, and the words of its log if they
// are known.
type failure struct {
	reason string
	words  string
}

// answered finds the status code of a service in the words of the log.
var answered = regexp.MustCompile(`status code (\d{3})`)

// explain says what happened, what was said about it, and what to do.
func (f failure) explain(channel, event string, cfg Config) (detail, cause, advice string) {
	switch f.reason {
	case "clientError":
		detail = "the service refuses it"
	case "serverError":
		detail = "the service fails"
	case "contextDeadlineExceeded", "retrying":
		detail = "Alertmanager tries again and again in vain"
	case "timeout":
		detail = "nothing was sent within " + cfg.Timeout.String()
		advice = "Its route waits longer than that (group_wait, group_interval): give it more by --timeout."
		if event == "resolve" {
			advice += " The alert is over, and its end will still be told."
		}
		return detail, "", advice
	default:
		detail = "it could not be sent"
	}
	status := ""
	if found := answered.FindStringSubmatch(f.words); found != nil {
		status = found[1]
	}
	return detail, f.words, advise(channel, f.reason, status, f.words)
}

// advise says what to do about a failure.
func advise(channel, reason, status, words string) string {
	has := func(part string) bool { return strings.Contains(words, part) }
	switch {
	case status == "429":
		return "It is asked too much. Wait a minute."
	case reason == "serverError" || strings.HasPrefix(status, "5"):
		return "It is out of order: see its status page."
	case has("no such file or directory"):
		return "The file with the secret is missing: see docs/on-call.md."
	case has("no such host"), has("connection refused"), has("i/o timeout"), has("certificate"):
		return "Alertmanager does not reach it: check the address, and the way out of its network."
	case channel == "pagerduty" && reason == "clientError":
		return "The routing key is wrong, or is not one of an integration of the type Events API v2: put the right one into pagerduty_routing_key."
	case channel == "slack" && (has("no_service") || has("no_team") || has("invalid_token") || status == "404" || status == "403"):
		return "The webhook does not exist, or not any more: make one at api.slack.com/apps and put its URL into slack_api_url."
	case channel == "slack" && (has("channel_not_found") || has("channel_is_archived") || status == "410"):
		return "The channel of the webhook is gone: make a webhook for another one."
	case channel == "slack" && reason == "clientError":
		return "Slack does not take the message, or the URL in slack_api_url is not that of an incoming webhook."
	case reason == "clientError":
		return "Check the address and the key of the receiver."
	}
	return "Alertmanager's log says more."
}

// maxLog is how much of the log is read at once.
const maxLog = 4 << 20

// logReader finds what Alertmanager's log says of this test.
type logReader struct {
	path string
	from int64 // where the log ended before the test
	id   string
}

func openLog(path, id string) *logReader {
	l := &logReader{path: path, id: id}
	if info, err := os.Stat(path); err == nil {
		l.from = info.Size()
	}
	return l
}

// problem finds the error in a line of the log.
var problem = regexp.MustCompile(` err="((?:[^"\\]|\\.)*)"`)

// words returns the newest error in the log about a receiver and channel. It is empty if there is none, or no log.
func (l *logReader) words(w way) string {
	if l.path == "" {
		return ""
	}
	file, err := os.Open(l.path)
	if err != nil {
		return "" // the log is a help, and its absence no failure
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() < l.from {
		l.from = 0 // begun anew
	}
	text, err := io.ReadAll(io.NewSectionReader(file, l.from, maxLog))
	if err != nil {
		return ""
	}
	newest := ""
	for line := range bytes.Lines(text) {
		found := problem.FindSubmatch(line)
		if found == nil {
			continue
		}
		said, err := strconv.Unquote(`"` + string(found[1]) + `"`)
		if err != nil {
			continue
		}
		about := bytes.Contains(line, []byte(l.id)) && bytes.Contains(line, []byte("integration="+w.channel))
		if strings.Contains(said, w.receiver+"/"+w.channel+"[") || about {
			newest = said
		}
	}
	if _, after, ok := strings.Cut(newest, " attempts: "); ok {
		newest = after
	}
	return newest
}
