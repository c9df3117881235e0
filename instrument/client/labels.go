package client

// trigger is the cause of a reconciliation, a value of a closed label.
type trigger string

const (
	triggerConnect   trigger = "connect"   // the first connection of Run
	triggerReconnect trigger = "reconnect" // every other connection
	triggerGap       trigger = "gap"       // in the sequence
	triggerRestart   trigger = "restart"   // the numbers restart, or the server sends a snapshot by itself
	triggerStale     trigger = "stale"     // a stale stream goes on, on the same connection
	triggerSlow      trigger = "slow"      // the handler had no room
	triggerHandler   trigger = "handler"   // the handler failed
	triggerManual    trigger = "manual"    // Client.Reconcile
)

func triggers() []trigger {
	return []trigger{
		triggerConnect, triggerReconnect, triggerGap, triggerRestart, triggerStale, triggerSlow, triggerHandler,
		triggerManual,
	}
}

// result is the result of an attempt to reconcile, a value of a closed label.
type result string

const (
	resultOK       result = "ok"
	resultError    result = "error"    // fetching or restoring the snapshot failed, or it did not come
	resultBehind   result = "behind"   // the snapshot does not reach the events that were held back
	resultOverflow result = "overflow" // there were too many events to hold back
	resultAborted  result = "aborted"  // the connection ended, or there was another gap or a slow handler
)

func results() []result {
	return []result{resultOK, resultError, resultBehind, resultOverflow, resultAborted}
}
