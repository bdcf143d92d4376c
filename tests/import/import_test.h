/* The groups of import tests. Each takes cmocka's state, which is not used. */
#ifndef IMPORT_TEST_H
#define IMPORT_TEST_H

int run_graph_tests(void);
int run_tensor_tests(void);
int run_refusal_tests(void);
int run_limit_tests(void);
int run_external_tests(void);

#endif
