package load

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/demo/history"
)

// damaged is a store that does not return what it has.
type damaged struct {
	history.Store
	damage func([]history.Message) ([]history.Message, error)
}

func (d damaged) After(ctx context.Context, room string, after uint64, limit int) ([]history.Message, error) {
	messages, err := d.Store.After(ctx, room, after, 2*limit)
	if err != nil {
		return nil, err
	}
	messages, err = d.damage(messages)
	return messages[:min(len(messages), limit)], err
}

// TestVerify runs 250 messages in one room against stores that each have something wrong. One connection sends them, so
// that they are delivered without a look into the store.
func TestVerify(t *testing.T) {
	const messages = 250
	tenth := func(m history.Message) bool { return m.Seq%10 == 0 }
	for name, tc := range map[string]struct {
		damage func([]history.Message) ([]history.Message, error)
		want   History
	}{
		"nothing": {func(all []history.Message) ([]history.Message, error) { return all, nil }, History{Kept: messages}},
		"some are lost": {func(all []history.Message) ([]history.Message, error) {
			return slices.DeleteFunc(all, tenth), nil
		}, History{Kept: messages - messages/10, Lost: messages / 10}},
		"some are under another number": {func(all []history.Message) ([]history.Message, error) {
			for i, m := range all {
				if tenth(m) {
					all[i].ID = all[i-1].ID
				}
			}
			return all, nil
		}, History{Kept: messages - messages/10, Lost: messages / 10, Twice: messages / 10}},
		"the first are no longer kept": {func(all []history.Message) ([]history.Message, error) {
			return slices.DeleteFunc(all, func(m history.Message) bool { return m.Seq <= 30 }), nil
		}, History{Kept: messages - 30, Trimmed: 30}},
		"it can't be read": {func([]history.Message) ([]history.Message, error) {
			return nil, errors.New("broken")
		}, History{Unread: messages}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, demo.Config{
				History: damaged{demotest.History(t, history.Limits{}), tc.damage}, Limits: demo.Limits{MessageBurst: 1000},
			})
			r := runLoad(t.Context(), t, Config{
				URLs: []string{s.url}, Scenario: chat(1, 1, messages, time.Second), Verify: true,
			})
			if diff := cmp.Diff(&tc.want, r.History); diff != "" {
				t.Errorf("history (-want +got):\n%s\n%v", diff, r.Reasons)
			}
			if wrong := tc.want.Lost > 0 || tc.want.Twice > 0 || tc.want.Kept == 0; wrong != (r.Err() != nil) {
				t.Errorf("the error is %v", r.Err())
			}
		})
	}
}
