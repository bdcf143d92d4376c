/* Tests of the ONNX import: what good models become, and that bad ones are refused, each with the
 * right status and nothing worse. Build with -Db_sanitize=address,undefined to see the latter. */
#include "import_test.h"

int main(void) {
    int failed = run_graph_tests();
    failed += run_tensor_tests();
    failed += run_refusal_tests();
    failed += run_limit_tests();
    failed += run_external_tests();
    return failed ? 1 : 0;
}
