// Command telemetrydoc prints docs/telemetry.md: it has an observer, a client, a probe and the export of telemetry go
// through everything that can happen, and writes down what came out.
package main

import (
	"fmt"
	"os"
)

func main() {
	doc, err := render()
	if err != nil {
		fmt.Fprintln(os.Stderr, "telemetrydoc:", err)
		os.Exit(1)
	}
	fmt.Print(doc)
}
