package poll

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// leastSwept is how many users have to be known before some are forgotten.
const leastSwept = 1024

// rates bounds how often each user asks. A user who has not asked for a while is forgotten, so there are no more than
// have asked lately.
type rates struct {
	limit rate.Limit
	burst int

	mu    sync.Mutex
	users map[string]*rate.Limiter
	sweep int // when there are so many
}

func newRates(perSecond float64) *rates {
	return &rates{
		limit: rate.Limit(perSecond), burst: max(1, int(2*perSecond)), users: make(map[string]*rate.Limiter), sweep: leastSwept,
	}
}

// allow reports whether a user may ask now.
func (r *rates) allow(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.users[user]
	if l == nil {
		r.forget()
		l = rate.NewLimiter(r.limit, r.burst)
		r.users[user] = l
	}
	return l.Allow()
}

// forget forgets users that are no different from those who have never asked, if there may be many.
func (r *rates) forget() {
	if len(r.users) < r.sweep {
		return
	}
	now := time.Now()
	for user, l := range r.users {
		if l.TokensAt(now) >= float64(r.burst) {
			delete(r.users, user)
		}
	}
	r.sweep = max(leastSwept, 2*len(r.users))
}
