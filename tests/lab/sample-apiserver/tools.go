//go:build tools

// Package tools names the programs that the lab builds of this module.
package tools

import (
	_ "k8s.io/sample-apiserver"
)
