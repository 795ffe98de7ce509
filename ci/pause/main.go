// pause holds a pod's namespaces open in nodeimg's tests: the first process of
// every sandbox, which reaps what its pod leaves behind and ends when told to.
//
// It does what upstream's build/pause/linux/pause.c does and is NOT that
// program: compiled by the Go that ci/mirror pins, its bytes are the same on
// every machine and for both architectures without a cross compiler for C, so
// that a recipe's lock can pin the image.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-v" {
		fmt.Println("pause (nodeimg test stand-in, not upstream's)")
		return
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "Warning: pause should be the first process")
	}
	for got := range signals {
		if got != syscall.SIGCHLD {
			fmt.Fprintln(os.Stderr, "Shutting down, got signal:", got)
			return
		}
		reap()
	}
}
