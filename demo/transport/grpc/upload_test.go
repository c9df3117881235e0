package grpc

import "testing"

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"hällo 👋":               "hällo 👋",
		"one\r\n\ttwo":          "one   two",
		"\x1b[2J\x00\x7f":       "�[2J��",
		"a\u202eb\u2066c\u200b": "a�b�c�",
		"a\u2028b\u0085c":       "a b c",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
}
