//go:build tools

// Package tools names the programs that the lab builds of this module.
package tools

import (
	_ "github.com/rhysd/actionlint/cmd/actionlint"
)
