// Package e2e tests the whole stack from outside: it starts the program as a user does, breaks things, and looks at
// what the components say over HTTP. Its tests take minutes and need the tag e2e.
package e2e
