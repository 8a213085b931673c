//go:build tools

// Package tools names what hack/cluster builds from here.
package tools

import (
	_ "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner"
)
