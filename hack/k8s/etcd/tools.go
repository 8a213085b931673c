//go:build tools

// Package tools names what hack/cluster builds from here.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
