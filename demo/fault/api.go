package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sockscope/sockscope/demo/reply"
)

// API serves the switches below /fault:
//
//	GET    /fault         lists them
//	PUT    /fault/{name}  turns one on: {"strength": 500, "duration": "30s"}
//	DELETE /fault/{name}  turns one off
//
// Of several instances, see Join, each has switches of its own. A state tells which instances have the fault, and
// ?instances=all turns it on or off on all of them.
type API struct {
	switches  []*Switch
	turned    func(ctx context.Context, s *Switch) error
	instances *instances // nil if there is one
}

// NewAPI returns the API of the switches. Whenever one is turned on, turned is called with it; the context lasts as
// long as the fault. If that returns an error, the switch is turned off again and the caller is told.
func NewAPI(turned func(ctx context.Context, s *Switch) error, switches ...*Switch) *API {
	return &API{switches: switches, turned: turned}
}

// Handler returns the API as a handler for the path /fault and all below it.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fault", a.list)
	mux.HandleFunc("PUT /fault/{name}", a.turnOn)
	mux.HandleFunc("DELETE /fault/{name}", a.turnOff)
	return mux
}

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	states := make([]State, 0, len(a.switches))
	for _, s := range a.switches {
		states = append(states, s.State())
	}
	list := map[string]any{"faults": states}
	if all, _ := a.withInstances(r.Context(), order{}, states); len(all) > 0 { // those that don't answer are not named
		list["instances"] = all
	}
	reply.JSON(w, http.StatusOK, list)
}

func (a *API) turnOn(w http.ResponseWriter, r *http.Request) {
	s := a.named(w, r)
	if s == nil {
		return
	}
	var want struct {
		Strength *float64 `json:"strength"`
		Duration string   `json:"duration"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&want); err != nil {
		reply.Refuse(w, http.StatusBadRequest, `send {"strength": number, "duration": "30s"}: `+err.Error())
		return
	}
	if want.Strength == nil {
		reply.Refuse(w, http.StatusBadRequest, "strength is missing")
		return
	}
	d, err := time.ParseDuration(want.Duration)
	if err != nil {
		reply.Refuse(w, http.StatusBadRequest, `duration has to be like "30s" or "5m"`)
		return
	}
	if status, err := a.start(s, *want.Strength, d); err != nil {
		reply.Refuse(w, status, err.Error())
		return
	}
	a.answer(w, r, s, order{Name: s.Name, On: true, Strength: *want.Strength, Duration: d})
}

// start turns a fault on here. With an error it returns the status of HTTP for it.
func (a *API) start(s *Switch, strength float64, d time.Duration) (status int, err error) {
	ctx, err := s.TurnOn(strength, d)
	if err != nil {
		return http.StatusBadRequest, err
	}
	if err := a.turned(ctx, s); err != nil {
		s.TurnOff()
		return http.StatusServiceUnavailable, err
	}
	return http.StatusOK, nil
}

func (a *API) turnOff(w http.ResponseWriter, r *http.Request) {
	if s := a.named(w, r); s != nil {
		s.TurnOff()
		a.answer(w, r, s, order{Name: s.Name})
	}
}

// answer answers with how a switch is now, after the other instances have got the order too if the request asks for
// that.
func (a *API) answer(w http.ResponseWriter, r *http.Request, s *Switch, o order) {
	all := r.URL.Query().Get("instances") == "all"
	if !all {
		o = order{}
	}
	states := []State{s.State()}
	if _, err := a.withInstances(r.Context(), o, states); err != nil && all {
		reply.Refuse(w, http.StatusServiceUnavailable, "done here, but not on all instances: "+err.Error())
		return
	}
	reply.JSON(w, http.StatusOK, states[0])
}

func (a *API) named(w http.ResponseWriter, r *http.Request) *Switch {
	names := make([]string, 0, len(a.switches))
	for _, s := range a.switches {
		if s.Name == r.PathValue("name") {
			return s
		}
		names = append(names, s.Name)
	}
	reply.Refuse(w, http.StatusNotFound,
		fmt.Sprintf("there is no fault %.64s: there are %s", r.PathValue("name"), strings.Join(names, ", ")))
	return nil
}
