package lokireceiver

import (
	"fmt"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields in Loki's push.proto. The messages are read from the wire directly, so that translation's bound
// is in force before memory is spent on what a client claims to send.
const (
	pushStreams    = 1
	streamLabels   = 1
	streamEntries  = 2
	entryTimestamp = 1
	entryLine      = 2
	entryMetadata  = 3
	timeSeconds    = 1
	timeNanos      = 2
	pairName       = 1
	pairValue      = 2
)

// decodeProtobuf reads a snappy-compressed push of at most limit bytes.
func decodeProtobuf(body []byte, limit int64, out *translation) error {
	size, err := snappy.DecodedLen(body)
	if err != nil {
		return fmt.Errorf("body is not snappy-compressed: %w", err)
	}
	if int64(size) > limit {
		return fmt.Errorf("%w (%d bytes when decompressed, at most %d are taken)", errTooLarge, size, limit)
	}
	push, err := snappy.Decode(nil, body)
	if err != nil {
		return fmt.Errorf("body is not snappy-compressed: %w", err)
	}
	streams := 0
	err = eachField(push, func(f field) error {
		if f.number != pushStreams {
			return nil
		}
		streams++
		return decodeStream(f.bytes, out)
	})
	if err == nil && streams == 0 {
		err = errNoStreams
	}
	return err
}

// decodeStream goes over the message twice, since fields may come in any order and every entry needs the labels.
func decodeStream(stream []byte, out *translation) error {
	var (
		text    string
		entries int
	)
	err := eachField(stream, func(f field) error {
		switch f.number {
		case streamLabels:
			text = string(f.bytes)
		case streamEntries:
			entries++
		}
		return nil
	})
	if err != nil || entries == 0 {
		return err
	}
	labels, err := parseLabels(text)
	if err != nil {
		return fmt.Errorf("labels of a stream: %w", err)
	}
	return eachField(stream, func(f field) error {
		if f.number != streamEntries {
			return nil
		}
		e, err := decodeEntry(f.bytes)
		if err != nil {
			return fmt.Errorf("an entry: %w", err)
		}
		return out.add(labels, e)
	})
}

func decodeEntry(message []byte) (e entry, err error) {
	err = eachField(message, func(f field) error {
		switch f.number {
		case entryTimestamp:
			return decodeTime(f.bytes, &e)
		case entryLine:
			e.line = string(f.bytes)
		case entryMetadata:
			if len(e.metadata) == maxAttributes {
				return fmt.Errorf("more than %d pieces of structured metadata", maxAttributes)
			}
			p, err := decodePair(f.bytes)
			e.metadata = append(e.metadata, p)
			return err
		}
		return nil
	})
	return e, err
}

func decodeTime(message []byte, e *entry) error {
	var seconds, nanos int64
	err := eachField(message, func(f field) error {
		switch f.number {
		case timeSeconds:
			seconds = int64(f.varint)
		case timeNanos:
			nanos = int64(f.varint)
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.at, err = unixTime(seconds, nanos)
	return err
}

func decodePair(message []byte) (p pair, err error) {
	err = eachField(message, func(f field) error {
		switch f.number {
		case pairName:
			p.name = string(f.bytes)
		case pairValue:
			p.value = string(f.bytes)
		}
		return nil
	})
	return p, err
}

// field is a field of a message: bytes holds strings and messages, varint numbers.
type field struct {
	number protowire.Number
	bytes  []byte
	varint uint64
}

// eachField calls visit for every field of a message until it fails.
func eachField(message []byte, visit func(field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return malformed(n)
		}
		message = message[n:]
		f := field{number: number}
		switch kind {
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(message)
		default: // no field that we know has another type
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return malformed(n)
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func malformed(n int) error {
	return fmt.Errorf("body is not a push in protobuf: %w", protowire.ParseError(n))
}
