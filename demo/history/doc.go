// Package history keeps what is said in rooms, numbered per room without gaps, before anybody else sees it.
//
// Three stores do the same: [File] is embedded, for a service of one instance, with nothing to install; [Redis] and
// [Kafka] are shared by the instances of a service.
//
//	store, err := history.OpenFile("chat.db", history.Limits{})
//	defer store.Close()
//	saved, again, err := store.Append(ctx, history.Message{Room: "lobby", ID: messageID, From: "ada", Text: "hello"})
//
// # What can be relied on
//
// A message that Append has returned is kept: in a File it is on disk, in Redis and Kafka it is as safe as these have
// been told to make it (see [NewRedis] and [OpenKafka]). The messages of a room are numbered 1, 2, 3 …, whichever
// instance they came through, so that a reader that sees 7 after 5 knows that 6 is missing and that [Store].After has
// it.
//
// When Append fails with ErrInvalid, ErrFull or ErrClosed, nothing was saved. Any other error, one of a deadline among
// them, leaves that open: the answer may have been lost. Sending the same message again with the same ID settles it. It
// is saved once, however often it is tried, for as long as the room keeps it.
//
// A message that was saved before may never have been passed on, as its sender or its instance may have failed in
// between. So it is to be published again; receivers tell by Seq whether they have it.
//
// # What is kept
//
// [Limits] bound everything. A room keeps its newest messages, and with each that goes also what made it known by its
// ID. Rooms are limited as well; one in which nothing was said for long makes place for others, and should it come back
// it begins with 1. A client that follows a room tells that by the SavedID: the number of a message is given again, to
// another one.
package history
