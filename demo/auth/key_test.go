package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestLoadKey(t *testing.T) {
	long := bytes.Repeat([]byte("k"), MinKeyBytes)
	for name, tc := range map[string]struct {
		content, want []byte // nil: refused
	}{
		"key":                  {long, long},
		"key with a line end":  {append(bytes.Clone(long), '\n'), long},
		"empty":                {nil, nil},
		"short":                {long[1:], nil},
		"short with blanks":    {append(bytes.Clone(long[1:]), "    \n"...), nil},
		"something else":       {make([]byte, maxKeyBytes+1), nil},
		"as long as it can be": {bytes.Repeat([]byte("k"), maxKeyBytes), bytes.Repeat([]byte("k"), maxKeyBytes)},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, tc.content, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := LoadKey(path)
		if !bytes.Equal(got, tc.want) || (err != nil) != (tc.want == nil) {
			t.Errorf("%s: %d bytes and %v", name, len(got), err)
		}
	}
	if _, err := LoadKey(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that does not exist is a key")
	}
}

func TestRandomKey(t *testing.T) {
	one, err := LoadKey("")
	if err != nil {
		t.Fatal(err)
	}
	two, err := LoadKey("")
	if err != nil {
		t.Fatal(err)
	}
	if len(one) < MinKeyBytes || bytes.Equal(one, two) {
		t.Errorf("random keys of %d and %d bytes, equal: %t", len(one), len(two), bytes.Equal(one, two))
	}
}
