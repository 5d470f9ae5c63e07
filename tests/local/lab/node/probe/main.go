// What the containers of tests run: one static program that serves, calls, burns and eats.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

var healthy atomic.Bool

func main() {
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "get":
		get(os.Args[2])
	case "resolve":
		resolve(os.Args[2])
	case "eat":
		eat()
	case "id":
		id()
	}
}

// serve answers on the port: /healthz, /sick (from then on /healthz fails), /burn (a second of one CPU), else a line.
func serve(port string) {
	healthy.Store(true)
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/sick", func(http.ResponseWriter, *http.Request) { healthy.Store(false) })
	http.HandleFunc("/burn", func(http.ResponseWriter, *http.Request) {
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
		}
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello from", os.Getenv("HOSTNAME")) })
	fmt.Println("serving on", port)
	go func() { fmt.Println(http.ListenAndServe(":"+port, nil)) }()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
}

func get(url string) {
	client := http.Client{Timeout: 3 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Print(answer.StatusCode, " ", string(body))
}

func resolve(name string) {
	found, err := net.LookupHost(name)
	fmt.Println(found, err)
	if err != nil {
		os.Exit(1)
	}
}

func eat() {
	var eaten [][]byte
	for {
		piece := make([]byte, 8<<20)
		for i := range piece {
			piece[i] = 1
		}
		eaten = append(eaten, piece)
		time.Sleep(10 * time.Millisecond)
	}
}

func id() {
	_, err := os.Create("/probe.txt")
	fmt.Println("uid", os.Getuid(), "write", err)
}
