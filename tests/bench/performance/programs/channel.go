// channel WORKERS TASKS COMMAND...: the pattern that this project comes from. A producer fills a buffered channel, so
// many workers take from it and run the command.
package main

import (
	"os"
	"os/exec"
	"strconv"
	"sync"
)

func main() {
	workers, _ := strconv.Atoi(os.Args[1])
	tasks, _ := strconv.Atoi(os.Args[2])
	numbers := make(chan int, 64)
	go func() {
		for number := 0; number < tasks; number++ {
			numbers <- number
		}
		close(numbers)
	}()
	var busy sync.WaitGroup
	for i := 0; i < workers; i++ {
		busy.Add(1)
		go func() {
			defer busy.Done()
			for range numbers {
				if exec.Command(os.Args[3], os.Args[4:]...).Run() != nil {
					os.Exit(1)
				}
			}
		}()
	}
	busy.Wait()
}
