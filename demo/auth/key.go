package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// MinKeyBytes is how long a key is at least: as long as the signature, so that guessing one is no easier than guessing
// the other.
const MinKeyBytes = 32

const maxKeyBytes = 4 << 10

// LoadKey returns the key that a file holds, without white space around it. A key is text or binary, at least
// MinKeyBytes long. Where path is empty it returns a random one: tokens then end with the process, and are worth
// nothing on another node.
func LoadKey(path string) ([]byte, error) {
	if path == "" {
		key := make([]byte, MinKeyBytes)
		if _, err := rand.Read(key); err != nil {
			return nil, fmt.Errorf("make a random key: %w", err)
		}
		return key, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load the key of tokens: %w", err)
	}
	defer file.Close()
	key, err := io.ReadAll(io.LimitReader(file, maxKeyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("load the key of tokens: %w", err)
	}
	if len(key) > maxKeyBytes {
		return nil, fmt.Errorf("%s holds more than %d bytes, so it is no key of tokens", path, maxKeyBytes)
	}
	key = bytes.TrimSpace(key)
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func checkKey(key []byte) error {
	if len(key) < MinKeyBytes {
		return fmt.Errorf("key of tokens has %d bytes: give %d or more, such as openssl rand -base64 48 makes", len(key), MinKeyBytes)
	}
	return nil
}

// keyID returns the kid of a key. It is made from the key, so that all nodes agree on it, and tells nothing of it.
func keyID(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("kid of sockscope-demo"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
