/* Graphs as text, for people to write; ONNX models from them. See README.md for the form. */
#ifndef PASSES_TEXT_H
#define PASSES_TEXT_H

#include "../import/onnx_writer.h"

/* Makes the ONNX model of the graph at *TEXT, which moves behind its `return` line. OPSET is of the
 * default domain. Ends the program with a message if the text is wrong. */
struct pb text_model(const char **text, int64_t opset);
/* Fills T (type and dims set) with numbers from STREAM: floats of [-1, 1), integers of the whole
 * range for bytes, small ones for wider types, bools. Allocates with malloc. */
void text_fill(fz_tensor_t *t, uint64_t stream);
/* Says what is wrong near TEXT and ends the program. */
_Noreturn void text_fail(const char *text, const char *what);

#endif
