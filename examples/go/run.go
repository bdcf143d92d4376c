// Digits from Go through cgo: run MODEL.fz IMAGES.npy
package main

/*
#cgo pkg-config: libfrozen
#include <stdlib.h>
#include <frozen/frozen.h>
*/
import "C"

import (
	"fmt"
	"log"
	"os"
	"runtime"
	"unsafe"
)

const images, pixels, classes = 16, 64, 10

// check ends the program. The message is that of the calling thread, to which main is locked.
func check(status C.fz_status_t) {
	if status != C.FZ_OK {
		log.Fatal(C.GoString(C.fz_last_error()))
	}
}

// readImages returns the first images of an .npy file in memory of C, which Go never moves.
func readImages(path string) unsafe.Pointer {
	bytes, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	if len(bytes) < 10 || len(bytes) < 10+int(bytes[8])+256*int(bytes[9])+images*pixels*4 {
		log.Fatal("too few images in ", path)
	}
	start := 10 + int(bytes[8]) + 256*int(bytes[9])
	return C.CBytes(bytes[start : start+images*pixels*4])
}

func best(scores []float32) int {
	at := 0
	for i, score := range scores {
		if score > scores[at] {
			at = i
		}
	}
	return at
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: run MODEL.fz IMAGES.npy")
	}
	runtime.LockOSThread()
	var model *C.fz_model_t
	var session *C.fz_session_t
	path := C.CString(os.Args[1])
	defer C.free(unsafe.Pointer(path))
	check(C.fz_model_open(path, nil, &model))
	defer C.fz_model_close(model)
	check(C.fz_session_create(model, nil, &session))
	defer C.fz_session_close(session)

	input := C.fz_tensor_t{dtype: C.FZ_TYPE_F32, rank: 4, size: images * pixels * 4}
	input.dims[0], input.dims[1], input.dims[2], input.dims[3] = images, 1, 8, 8
	input.data = readImages(os.Args[2])
	defer C.free(input.data)
	var output C.fz_tensor_t
	check(C.fz_session_run(session, &input, 1, &output, 1))

	scores := unsafe.Slice((*float32)(output.data), images*classes)
	fmt.Print("digits")
	for i := 0; i < images; i++ {
		fmt.Print(" ", best(scores[i*classes:(i+1)*classes]))
	}
	var digest [32]byte
	check(C.fz_sha256(output.data, output.size, (*C.uint8_t)(&digest[0])))
	fmt.Printf("\noutput %x\n", digest)
}
