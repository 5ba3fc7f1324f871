// Command sumdb checks a checkpoint, inclusion proofs and a consistency proof with Go's own transparency log
// library. It shares no code with Ostiary. It reads cases as JSON lines and answers "ok" or the error, one a line.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type testCase struct {
	Vkey        string   `json:"vkey"`
	Leaf        []byte   `json:"leaf"`
	Proof       string   `json:"proof"`
	Old         string   `json:"old"`
	New         string   `json:"new"`
	Consistency [][]byte `json:"consistency"`
}

type head struct {
	size int64
	root tlog.Hash
}

func open(vkey, signed string) (head, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return head{}, err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return head{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return head{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return head{size, root}, err
}

func inclusion(c testCase) error {
	proof, signed, found := strings.Cut(c.Proof, "\n\n")
	lines := strings.Split(proof, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		path = append(path, hash)
	}
	tree, err := open(c.Vkey, signed)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, tree.size, tree.root, index, tlog.RecordHash(c.Leaf))
}

func consistency(c testCase) error {
	older, err := open(c.Vkey, c.Old)
	if err != nil {
		return err
	}
	newer, err := open(c.Vkey, c.New)
	if err != nil {
		return err
	}
	var path tlog.TreeProof
	for _, raw := range c.Consistency {
		hash, err := tlog.ParseHash(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			return err
		}
		path = append(path, hash)
	}
	return tlog.CheckTree(path, newer.size, newer.root, older.size, older.root)
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<24)
	for input.Scan() {
		var c testCase
		decoder := json.NewDecoder(bytes.NewReader(input.Bytes()))
		err := decoder.Decode(&c)
		if err == nil && c.Proof != "" {
			err = inclusion(c)
		} else if err == nil {
			err = consistency(c)
		}
		if err != nil {
			fmt.Println("refused:", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}
