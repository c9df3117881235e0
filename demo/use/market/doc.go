// Package market is a made-up market whose every trade is a pure function of its symbol and its number, and so of time:
// nodes that have the same clock agree on every price, volume and sequence number without talking.
//
// Each symbol ticks once in an interval. Tick n happens n intervals after the Unix epoch, for all symbols at once, and
// n is its sequence number. A consumer follows the feed that Run publishes, takes the price of each tick and adds up
// the sizes; Snapshot has what that comes to at any time. A consumer that misses a tick has a volume that differs from
// the snapshot's from then on, which is how drift shows.
//
// Prices and sizes are integers: a price is in cents. They come of integer arithmetic, since floating-point results may
// differ between processors.
package market
