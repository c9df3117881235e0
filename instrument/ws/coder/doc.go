// Package coder observes connections of github.com/coder/websocket.
package coder
