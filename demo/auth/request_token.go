package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// RequestToken asks a DevHandler at the address, such as http://127.0.0.1:8080/auth/token, for a token for the user,
// who may enter every room that is not private.
func RequestToken(ctx context.Context, client *http.Client, address, user string) (string, error) {
	body, err := json.Marshal(map[string]string{"user": user})
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	var answer struct{ Token, Error string }
	if err := json.Unmarshal(data, &answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("ask %s for a token: %s %s", address, resp.Status, strings.TrimSpace(answer.Error))
	}
	return answer.Token, nil
}
