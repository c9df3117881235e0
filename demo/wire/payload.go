package wire

import "time"

// AuthPayload carries a token that the handshake did not carry, or a newer one.
type AuthPayload struct {
	Token string `json:"token"`
}

// WelcomePayload tells a client whom the server takes it for.
type WelcomePayload struct {
	Session string    `json:"session"` // names the connection in logs and traces
	Node    string    `json:"node"`
	User    string    `json:"user"`
	Expires time.Time `json:"expires"` // of the token
}

// JoinPayload asks to be in a room. With After, the sequence number of the last message that the client knows, what it
// has missed since comes as history before anything newer.
type JoinPayload struct {
	Room  string  `json:"room"`
	After *uint64 `json:"after,omitempty"`
}

// RoomPayload names a room.
type RoomPayload struct {
	Room string `json:"room"`
}

// MessagePayload is a chat message. A client sends room and text; the server adds who said it and the id under which it
// was saved. A message that is sent again with the same messageId is saved and delivered once.
type MessagePayload struct {
	Room    string `json:"room"`
	Text    string `json:"text"`
	SavedID string `json:"savedId,omitempty"`
	From    string `json:"from,omitempty"`
}

// TypingPayload tells the others in a room that somebody is writing, or no longer is. The server sets User.
type TypingPayload struct {
	Room   string `json:"room"`
	Typing bool   `json:"typing"`
	User   string `json:"user,omitempty"`
}

// ReadPayload tells a room that somebody has read it up to the message with that sequence number. The server sets User.
type ReadPayload struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
	User string `json:"user,omitempty"`
}

// HistoryRequest asks for messages of a room, oldest first: those after a sequence number or, without one, the newest.
type HistoryRequest struct {
	Room  string  `json:"room"`
	After *uint64 `json:"after,omitempty"`
	Limit int     `json:"limit,omitempty"` // default and at most MaxHistory
}

// HistoryPayload is a piece of a room's history.
type HistoryPayload struct {
	Room     string           `json:"room"`
	Messages []HistoryMessage `json:"messages"`
	// More says that there are messages after the last of these.
	More bool `json:"more,omitempty"`
}

// HistoryMessage is one message as it was saved.
type HistoryMessage struct {
	Seq         uint64    `json:"seq"`
	SavedID     string    `json:"savedId"`
	MessageID   string    `json:"messageId"`
	From        string    `json:"from"`
	Text        string    `json:"text"`
	Timestamp   time.Time `json:"timestamp"`
	Traceparent string    `json:"traceparent,omitempty"`
}

// StreamPayload names a stream of the server's own.
type StreamPayload struct {
	Stream string `json:"stream"`
}

// The streams that a client may subscribe to.
const (
	StreamMarket    = "market"    // prices, see package market
	StreamDashboard = "dashboard" // the service's own numbers, each second
)

// NotifyPayload asks that a user be notified, on all of that user's connections.
type NotifyPayload struct {
	User string `json:"user"`
	Text string `json:"text"`
}

// NotificationPayload is what the user gets.
type NotificationPayload struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// AckPayload answers one request.
type AckPayload struct {
	Success bool   `json:"success"`
	SavedID string `json:"savedId,omitempty"` // of a message
	Seq     uint64 `json:"seq,omitempty"`     // of a message; of a join, the room's last
	Error   Code   `json:"error,omitempty"`   // of a refused request
	Reason  string `json:"reason,omitempty"`  // Error in words
}

// PresencePayload tells a room that somebody came or went.
type PresencePayload struct {
	Room string `json:"room"`
	User string `json:"user"`
}

// RoomUsersPayload tells who joins a room who is in it, on all nodes. Of a large room only some users are listed; Count
// is always all of them. Seq is of the room's last message before this frame: messages after the frame are after that
// one. Read is up to where users have read, those who are furthest.
type RoomUsersPayload struct {
	Room  string            `json:"room"`
	Users []string          `json:"users"`
	Count int               `json:"count"`
	Seq   uint64            `json:"seq"`
	Read  map[string]uint64 `json:"read,omitempty"`
}

// DashboardPayload is what the node that the client is connected to counts.
type DashboardPayload struct {
	Node              string  `json:"node"`
	Connections       int     `json:"connections"`
	Rooms             int     `json:"rooms"`
	ReceivedPerSecond float64 `json:"receivedPerSecond"`
	SentPerSecond     float64 `json:"sentPerSecond"`
}

// ErrorPayload is the answer to a frame that the server does not understand.
type ErrorPayload struct {
	Code   Code   `json:"code"`
	Reason string `json:"reason"`
}

// TokenExpiringPayload announces that the connection will be closed unless a newer token is sent.
type TokenExpiringPayload struct {
	Expires time.Time `json:"expires"`
}

// GoingAwayPayload announces that the server is about to close. Clients are told different times, so that they don't
// all come back at once.
type GoingAwayPayload struct {
	Reason           string `json:"reason"`
	ReconnectAfterMS int64  `json:"reconnectAfterMs"`
}
