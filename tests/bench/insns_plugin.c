/* A plugin of qemu's user mode that counts the instructions which the program executes between
 * count_begin() and count_end(): qemu has no clock of a real CPU, but it sees every instruction.
 * The prototypes are those of qemu's plugin interface, version 1. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD_U64 = 0, CB_NO_REGS = 0 };
typedef void (*tb_fn)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*exec_fn)(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, tb_fn fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_fn fn, int flags,
                                          void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
                                              uint64_t imm);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *insn);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn);

#define EXPORT __attribute__((visibility("default")))
extern EXPORT int qemu_plugin_version;
EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

/* All instructions, multiply-adds of vectors, loads, stores. */
enum { ALL, FMA, LOAD, STORE, N_KINDS };
static uint64_t counts[N_KINDS], begin[N_KINDS];

static void on_begin(unsigned int cpu, void *data) {
    (void)cpu;
    (void)data;
    memcpy(begin, counts, sizeof counts);
}

static void on_end(unsigned int cpu, void *data) {
    (void)cpu;
    (void)data;
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", counts[ALL] - begin[ALL],
           counts[FMA] - begin[FMA], counts[LOAD] - begin[LOAD], counts[STORE] - begin[STORE]);
    fflush(stdout);
}

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* A block is counted as a whole; what calls and markers add is the same for every kernel. */
static void on_block(uint64_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    uint64_t in_block[N_KINDS] = {n};
    for (size_t i = 0; i < n; i++) {
        char *text = qemu_plugin_insn_disas(qemu_plugin_tb_get_insn(tb, i));
        in_block[FMA] += starts(text, "fmla") || starts(text, "fmls");
        in_block[LOAD] += starts(text, "ld");
        in_block[STORE] += starts(text, "st");
        free(text);
    }
    for (int kind = 0; kind < N_KINDS; kind++)
        if (in_block[kind])
            qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &counts[kind],
                                                     in_block[kind]);
    const char *symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
    if (!symbol) return;
    if (strcmp(symbol, "count_begin") == 0)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_begin, CB_NO_REGS, NULL);
    if (strcmp(symbol, "count_end") == 0)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_end, CB_NO_REGS, NULL);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    return 0;
}
