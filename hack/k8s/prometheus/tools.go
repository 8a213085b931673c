//go:build tools

// Package tools names what hack/check-charts builds from here.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
