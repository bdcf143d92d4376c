/* Arrays in files, for the two programs of this folder: inputs from .npy files, outputs as the
 * bytes that they are in memory. */
#ifndef ARRAYS_H
#define ARRAYS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { RANK_MAX = 8 };

struct array {
    int dtype; /* the number that ONNX gives the element type; FZ_TYPE_ are the same */
    int rank;
    int64_t dims[RANK_MAX];
    void *data;
    size_t size;
};

/* Prints a line for stderr as printf() does and ends the program with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void stop(const char *format, ...);

/* The array of a .npy file in C order and of a little-endian type; anything else ends the program.
 * The elements are the caller's to free. */
struct array read_npy(const char *path);

#endif
