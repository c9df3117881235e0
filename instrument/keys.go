package instrument

import "go.opentelemetry.io/otel/attribute"

// keyConnectionID has no counterpart in the semantic conventions and is the same for all protocols.
const keyConnectionID = attribute.Key("connection.id")

// keys are the attributes that begin with the protocol's name.
type keys struct {
	namespace, backplane, recipients, dropped                attribute.Key
	messageType, messageSize, messageNumber                  attribute.Key
	closeCode, closeReason, closeInitiator, duration         attribute.Key
	receivedMessages, receivedBytes, sentMessages, sentBytes attribute.Key
}

func newKeys(protocol string) keys {
	key := func(name string) attribute.Key { return attribute.Key(protocol + "." + name) }
	return keys{
		namespace: key("namespace"), backplane: key("backplane"), recipients: key("recipients"), dropped: key("dropped"),
		messageType: key("message.type"), messageSize: key("message.size"), messageNumber: key("message.number"),
		closeCode: key("close.code"), closeReason: key("close.reason"), closeInitiator: key("close.initiator"),
		duration: key("duration"), receivedMessages: key("received.messages"), receivedBytes: key("received.bytes"),
		sentMessages: key("sent.messages"), sentBytes: key("sent.bytes"),
	}
}
