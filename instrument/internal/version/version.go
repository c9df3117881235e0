// Package version says which version of the module makes the spans.
package version

// Number is the version in the tag of the module instrument, without the v. Set it when you release.
const Number = "0.1.0"
