// gorilla/websocket, as its chat example does it: one goroutine per reader that writes what a
// channel brings, and one prepared message for all.
package main

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

type client struct {
	send chan *websocket.PreparedMessage
}

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
	push := func() {
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
	}
	http.HandleFunc("/push", func(w http.ResponseWriter, r *http.Request) {
		push()
		w.WriteHeader(http.StatusNoContent)
	})
	http.HandleFunc("/burst", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, burst(r.URL.Query(), ticks+1, push))
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}

// The same as burst in burst.mjs.
func burst(query url.Values, firstTick int, push func()) string {
	number := func(name string) float64 { value, _ := strconv.ParseFloat(query.Get(name), 64); return value }
	rate, seconds, turn := number("rate"), number("seconds"), number("turn")
	interval := time.Duration(turn / rate * 1e9)
	turns := math.Round(seconds * 1e9 / float64(interval))
	start := time.Now()
	made, last := 0.0, start
	for {
		time.Sleep(max(time.Millisecond, time.Until(start.Add(time.Duration(made+1)*interval))))
		now := time.Now()
		due := min(turns, float64(now.Sub(start))/float64(interval))
		for made+1 <= due {
			last = time.Now()
			for i := 0.0; i < turn; i++ {
				push()
			}
			made++
			if time.Since(now) > 10*time.Millisecond {
				break
			}
		}
		if made == turns || now.Sub(start).Seconds() >= seconds {
			return fmt.Sprint(firstTick, start.UnixMicro(), interval.Microseconds(), turn, made*turn, last.UnixMicro())
		}
	}
}
