// The other end of the benches: a tiny upstream (chat completions, and MCP over streamable HTTP with one tool), and an
// open-loop client that sends at a fixed rate and measures from the moment each request was due.
//
//	upstream serve ADDRESS
//	upstream pace URL RATE SECONDS < request.json     {"headers": {…}, "bodies": ["…", …]}
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var served atomic.Int64 // no two answers are alike, so that nothing can be remembered

const sentence = "The order of paper, toner and two standing desks left the warehouse this morning and will reach the office on Thursday. "

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serve(os.Args[2])
		return
	}
	if len(os.Args) == 5 && os.Args[1] == "pace" {
		rate, _ := strconv.Atoi(os.Args[3])
		seconds, _ := strconv.ParseFloat(os.Args[4], 64)
		pace(os.Args[2], rate, seconds)
		return
	}
	fmt.Fprintln(os.Stderr, "usage: upstream serve ADDRESS | upstream pace URL RATE SECONDS")
	os.Exit(2)
}

func answer(writer http.ResponseWriter, body []byte) {
	writer.Header().Set("Content-Type", "application/json")
	writer.Header().Set("Content-Length", strconv.Itoa(len(body)))
	writer.Write(body)
}

func serve(address string) {
	completion := `{"id":"chatcmpl-%d","object":"chat.completion","created":1760000000,"model":"bench","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"Answer %d. ` + strings.Repeat(sentence, 7) + `"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":190,"completion_tokens":160,"total_tokens":350}}`
	http.HandleFunc("/v1/chat/completions", func(writer http.ResponseWriter, request *http.Request) {
		io.Copy(io.Discard, request.Body)
		number := served.Add(1)
		answer(writer, fmt.Appendf(nil, completion, number, number))
	})
	http.HandleFunc("/mcp", mcp)
	http.HandleFunc("/health", func(writer http.ResponseWriter, _ *http.Request) { answer(writer, []byte("{}")) })
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil))
	os.Exit(1)
}

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
}

func mcp(writer http.ResponseWriter, request *http.Request) {
	if request.Method != "POST" {
		writer.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, _ := io.ReadAll(request.Body)
	var asked message
	if json.Unmarshal(body, &asked) != nil || asked.ID == nil {
		writer.WriteHeader(http.StatusAccepted)
		return
	}
	result := map[string]string{
		"initialize": `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}`,
		"ping":       `{}`,
		"tools/list": `{"tools":[{"name":"post","description":"Posts a note to somebody.","inputSchema":{"type":"object",` +
			`"properties":{"to":{"type":"string"},"amount":{"type":"number"},"text":{"type":"string"}},"required":["to","amount","text"],"additionalProperties":false}}]}`,
		"tools/call": `{"content":[{"type":"text","text":"Note ` + strconv.FormatInt(served.Add(1), 10) + ` is kept. ` +
			strings.Repeat(sentence, 8) + `"}],"isError":false}`,
	}[asked.Method]
	if result == "" {
		answer(writer, []byte(`{"jsonrpc":"2.0","id":`+string(asked.ID)+`,"error":{"code":-32601,"message":"unknown method"}}`))
		return
	}
	answer(writer, []byte(`{"jsonrpc":"2.0","id":`+string(asked.ID)+`,"result":`+result+`}`))
}

type work struct {
	Headers map[string]string `json:"headers"`
	Bodies  []string          `json:"bodies"`
}

func pace(url string, rate int, seconds float64) {
	var given work
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil || len(given.Bodies) == 0 || rate <= 0 {
		fmt.Fprintln(os.Stderr, "pace: no work given:", err)
		os.Exit(2)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 10 * time.Second}
	count := int(float64(rate) * seconds)
	took := make([]time.Duration, count)
	var waiting sync.WaitGroup
	var lock sync.Mutex
	failed := 0
	began := time.Now()
	for at := 0; at < count; at++ {
		due := began.Add(time.Duration(at) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		waiting.Add(1)
		go func(at int) {
			defer waiting.Done()
			request, _ := http.NewRequest("POST", url, bytes.NewReader([]byte(given.Bodies[at%len(given.Bodies)])))
			for name, value := range given.Headers {
				request.Header.Set(name, value)
			}
			response, err := client.Do(request)
			if err == nil {
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			took[at] = time.Since(due)
			if err != nil || response.StatusCode != 200 {
				lock.Lock()
				failed++
				lock.Unlock()
			}
		}(at)
	}
	waiting.Wait()
	sort.Slice(took, func(a, b int) bool { return took[a] < took[b] })
	ms := func(share float64) float64 { return float64(took[int(share*float64(count-1))].Microseconds()) / 1000 }
	json.NewEncoder(os.Stdout).Encode(map[string]any{"p50_ms": ms(0.5), "p99_ms": ms(0.99), "max_ms": ms(1), "failed": failed, "count": count})
}
