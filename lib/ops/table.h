/* The generated table of operator files. */
#ifndef FZ_OPS_TABLE_H
#define FZ_OPS_TABLE_H

struct fz_op;

/* fz_ops_NAME of every operator file, closed by NULL; each is an array closed by a row without a
 * name. */
extern const struct fz_op *const fzi_op_files[];

#endif
