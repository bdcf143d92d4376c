/* Arrays of NumPy on disk: .npy files, and those inside of a .npz. */
#ifndef FZ_ARRAY_H
#define FZ_ARRAY_H

#include "tensor/tensor.h"

/* Where an array lies: T has its type and shape, no data. */
struct fz_array {
    const char *path;
    uint64_t offset;  /* of its first element in the file */
    fz_tensor_t t;
};

/* Reads the header of the array at OFFSET of the file at PATH, which outlives *OUT. FZ_E_IO,
 * FZ_E_FORMAT for what is no array in C order of a known type, or is cut short. */
fz_status_t fzi_array_open(const char *path, uint64_t offset, struct fz_array *out);
/* Finds the array NAME in the .npz file at PATH; *FOUND is false if it is not in there. FZ_E_FORMAT
 * for what is no .npz; FZ_E_UNSUPPORTED for a compressed one. */
fz_status_t fzi_array_find(const char *path, const char *name, struct fz_array *out, bool *found);
/* Reads SIZE bytes of the elements from byte BEGIN on. */
fz_status_t fzi_array_read(const struct fz_array *array, uint64_t begin, void *data, size_t size);

#endif
