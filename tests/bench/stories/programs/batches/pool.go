// What the person had: a producer fills a channel with mini-batches, workers take them from it and hand each by stdin
// to an external process, a consumer collects what the processes print.
//
//	pool WORKERS ITEMS PER_BATCH COMMAND...
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

func number(word string) int {
	found, err := strconv.Atoi(word)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return found
}

func main() {
	workers, items, size := number(os.Args[1]), number(os.Args[2]), number(os.Args[3])
	argv := os.Args[4:]
	batches := make(chan string, 64)
	outputs := make(chan []byte, 64)

	go func() {
		for start := 0; start < items; start += size {
			batches <- fmt.Sprintf("%d,%d", start, min(size, items-start))
		}
		close(batches)
	}()

	var busy sync.WaitGroup
	for i := 0; i < workers; i++ {
		busy.Add(1)
		go func() {
			defer busy.Done()
			for batch := range batches {
				process := exec.Command(argv[0], argv[1:]...)
				process.Stdin = strings.NewReader(batch)
				process.Stderr = os.Stderr
				output, err := process.Output()
				if err != nil {
					fmt.Fprintln(os.Stderr, batch, err)
					os.Exit(1)
				}
				outputs <- output
			}
		}()
	}
	go func() {
		busy.Wait()
		close(outputs)
	}()

	for output := range outputs {
		os.Stdout.Write(output)
	}
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
