// gorilla/websocket, as its chat example does it: one goroutine per reader that writes what a
// channel brings, and one prepared message for all.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

type client struct{ send chan *websocket.PreparedMessage }

func main() {
	before, after, _ := strings.Cut(os.Getenv("MESSAGE"), "########")
	var mutex sync.Mutex
	clients := map[*client]bool{}
	ticks := 0
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

	http.HandleFunc("/turbo-stream", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &client{make(chan *websocket.PreparedMessage, 256)}
		mutex.Lock()
		clients[c] = true
		mutex.Unlock()
		go func() {
			defer conn.Close()
			for message := range c.send {
				if conn.WritePreparedMessage(message) != nil {
					return
				}
			}
		}()
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				break
			}
		}
		mutex.Lock()
		if clients[c] {
			delete(clients, c)
			close(c.send)
		}
		mutex.Unlock()
	})
	http.HandleFunc("/push", func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		ticks++
		text := fmt.Sprintf("%s%08d%s", before, ticks, after)
		message, _ := websocket.NewPreparedMessage(websocket.TextMessage, []byte(text))
		for c := range clients {
			select {
			case c.send <- message:
			default:
				delete(clients, c)
				close(c.send)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}
