// Reads what hoopx writes, and writes what hoopx reads, with transparency-log software that is not hoopx's:
// golang.org/x/mod/sumdb, filippo.io/torchwood and github.com/transparency-dev/formats.
package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	commands := map[string]func([]string){
		"log": readLog, "proof": readProof, "cosigned": readCosigned, "cosign": cosign, "request": request,
	}
	commands[os.Args[1]](os.Args[2:])
}

// folder reads the tiles of a directory in the tlog-tiles layout, full ones where partial ones are gone.
type folder string

func (f folder) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(string(f), torchwood.TilePath(tile)))
		if errors.Is(err, fs.ErrNotExist) {
			full := tile
			full.W = torchwood.TileWidth
			data, err = os.ReadFile(filepath.Join(string(f), torchwood.TilePath(full)))
			if err == nil && tile.L >= 0 {
				data = data[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (f folder) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(f), path))
}

func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

// asked is what hoopx wants confirmed: its own proofs.
type asked struct {
	Inclusion []struct {
		Index, Size int64
		Root        string
		Proof       []string
	}
	Consistency []struct {
		Old, New         int64
		OldRoot, NewRoot string
		Proof            []string
	}
}

func hashOf(text string) tlog.Hash {
	var hash tlog.Hash
	if copy(hash[:], must(base64.StdEncoding.DecodeString(text))) != tlog.HashSize {
		check(errors.New("no hash: " + text))
	}
	return hash
}

func hashesOf(texts []string) []tlog.Hash {
	hashes := []tlog.Hash{}
	for _, text := range texts {
		hashes = append(hashes, hashOf(text))
	}
	return hashes
}

// log DIRECTORY VKEY <asked.json: open the checkpoint, read every tile and entry, check the proofs.
func readLog(arguments []string) {
	directory, verifier := folder(arguments[0]), must(note.NewVerifier(arguments[1]))
	signed := must(directory.ReadEndpoint(context.Background(), "checkpoint"))
	opened := must(note.Open(signed, note.VerifierList(verifier)))
	checkpoint := must(torchwood.ParseCheckpoint(opened.Text))
	if checkpoint.Origin != verifier.Name() {
		check(errors.New("another origin: " + checkpoint.Origin))
	}
	hashes := torchwood.TileHashReaderWithContext(context.Background(), checkpoint.Tree, directory)
	if root := must(tlog.TreeHash(checkpoint.N, hashes)); root != checkpoint.Hash {
		check(errors.New("the tiles give another root"))
	}
	client := must(torchwood.NewClient(directory))
	var leaves []tlog.Hash
	for int64(len(leaves)) < checkpoint.N { // the last partial bundle comes by itself
		before := len(leaves)
		for index, entry := range client.Entries(context.Background(), checkpoint.Tree, int64(len(leaves))) {
			if index != int64(len(leaves)) {
				check(fmt.Errorf("entry %d instead of %d", index, len(leaves)))
			}
			leaves = append(leaves, tlog.RecordHash(entry))
		}
		check(client.Err())
		if len(leaves) == before {
			check(fmt.Errorf("no entry behind %d", before))
		}
	}

	var wanted asked
	check(json.NewDecoder(os.Stdin).Decode(&wanted))
	for _, one := range wanted.Inclusion {
		check(tlog.CheckRecord(hashesOf(one.Proof), one.Size, hashOf(one.Root), one.Index, leaves[one.Index]))
		if mine := must(tlog.ProveRecord(one.Size, one.Index, hashes)); fmt.Sprint(mine) != fmt.Sprint(tlog.RecordProof(hashesOf(one.Proof))) {
			check(fmt.Errorf("leaf %d of %d: another proof", one.Index, one.Size))
		}
	}
	for _, one := range wanted.Consistency {
		check(tlog.CheckTree(hashesOf(one.Proof), one.New, hashOf(one.NewRoot), one.Old, hashOf(one.OldRoot)))
	}
	fmt.Println(checkpoint.Origin, len(leaves), len(wanted.Inclusion), len(wanted.Consistency))
}

// proof VKEY <proof: check a tlog-proof; its extra line is the leaf.
func readProof(arguments []string) {
	var found proof.TLogProof
	check(found.Unmarshal(must(io.ReadAll(os.Stdin))))
	verifier := must(note.NewVerifier(arguments[0]))
	opened := must(note.Open(found.Checkpoint, note.VerifierList(verifier)))
	checkpoint := must(torchwood.ParseCheckpoint(opened.Text))
	var path tlog.RecordProof
	for _, hash := range found.Hashes {
		path = append(path, hash)
	}
	check(tlog.CheckRecord(path, checkpoint.N, checkpoint.Hash, int64(found.Index), tlog.RecordHash(found.ExtraData)))
	fmt.Println(found.Index, checkpoint.N)
}

// cosigned VKEY <note: check a cosignature; prints its time.
func readCosigned(arguments []string) {
	verifier := must(fnote.NewVerifierForCosignatureV1(arguments[0]))
	opened := must(note.Open(must(io.ReadAll(os.Stdin)), note.VerifierList(verifier)))
	fmt.Println(must(torchwood.CosignatureTimestamp(opened.Sigs[0])), must(fnote.CoSigV1Timestamp(opened.Sigs[0])).Unix())
}

// cosign NAME <checkpoint: cosign it; prints the key and the line.
func cosign(arguments []string) {
	signed := must(io.ReadAll(os.Stdin))
	text := signed[:bytes.LastIndex(signed, []byte("\n\n"))+1]
	signer := must(torchwood.NewCosignatureSigner(arguments[0], ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))))
	made := must(note.Sign(&note.Note{Text: string(text)}, signer))
	fmt.Println(signer.Verifier().String())
	fmt.Print(string(made[len(text)+1:]))
}

// request OLD NEW: an add-checkpoint request of a log made here; its key on the first line.
func request(arguments []string) {
	old, size := must(strconv.ParseInt(arguments[0], 10, 64)), must(strconv.ParseInt(arguments[1], 10, 64))
	const name = "go.example/log"
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	public := key.Public().(ed25519.PublicKey)
	vkey := must(note.NewEd25519VerifierKey(name, public))
	hash := strings.Split(vkey, "+")[1]
	skey := "PRIVATE+KEY+" + name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))
	signer := must(note.NewSigner(skey))

	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for index := int64(0); index < size; index++ {
		stored = append(stored, must(tlog.StoredHashes(index, binary.BigEndian.AppendUint64(nil, uint64(index)), reader))...)
	}
	root := must(tlog.TreeHash(size, reader))
	text := torchwood.Checkpoint{Origin: name, Tree: tlog.Tree{N: size, Hash: root}}.String()
	fmt.Println(vkey)
	fmt.Printf("old %d\n", old)
	if old > 0 && old < size {
		for _, one := range must(tlog.ProveTree(size, old, reader)) {
			fmt.Println(base64.StdEncoding.EncodeToString(one[:]))
		}
	}
	fmt.Println()
	fmt.Print(string(must(note.Sign(&note.Note{Text: text}, signer))))
}
