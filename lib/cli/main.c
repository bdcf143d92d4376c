/* fz: freeze, look at, run, verify, time, test, compare and sign models. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage, *what;
};

static const struct verb verbs[] = {
    {"freeze", verb_freeze,
     "IN.onnx -o OUT.fz [--numerics portable|blas] [--dim NAME=N]... [--keep-onnx]\n"
     "            [--no-winograd] [--literal-qdq] [--dynamic-range tensor|per-row]\n"
     "            [--sparse] [--no-kat] [--seed N] [--kat-input NAME=FILE.npy]...\n"
     "            [--custom LIB.so]...",
     "turn an ONNX model into a frozen file and print its id"},
    {"quantize", verb_quantize,
     "IN.onnx -o OUT.onnx|OUT.fz --static --calib DATA | --dynamic | --weight-only int8|int4\n"
     "            | --fp16 [--calib DATA] [--opset N] [--method minmax|percentile|entropy|mse]\n"
     "            [--percentile P] [--symmetric] [--per-row] [--block N] [--rtn] [--smooth]\n"
     "            [--no-equalise] [--no-bias-correction] [--exclude NODE]... [--only NODE]...\n"
     "            [--op-type TYPE]... [--fix INPUT=N]... [--labels FILE.npy] [--max-drop P%]\n"
     "            [--min-sqnr DB] [--report FILE.html] [--json FILE.json] [--threads N]",
     "turn a float ONNX model into one of 8 or 4 bits; DATA: .npy files, a .npz or test folders"},
    {"info", verb_info, "MODEL [--json] [--passes] [--provenance] [--custom LIB.so]...",
     "inputs, outputs, id, profile, operators, memory, work"},
    {"run", verb_run,
     "MODEL [--input NAME=FILE.npy]... [--output-dir DIR] [--threads N] [--expect HEX]\n"
     "            [--receipt FILE] [--log LOG [--key PRIVATE.pem]] [--keep-inputs DIR]\n"
     "            [--custom LIB.so]...",
     "run a model once; prints each output's index, name, type and shape"},
    {"verify", verb_verify,
     "FILE.fz [--expect HEX] [--kat] [--key PUBLIC.pem [--signature FILE]]\n"
     "            [--custom LIB.so]...",
     "check every digest of a frozen file, with --kat its known answer, with --key who signed it"},
    {"bench", verb_bench,
     "MODEL [--open sealed|map] [--shape NAME=1x3x224x224]... [--input NAME=FILE.npy]...\n"
     "            [--threads N] [--seconds S] [--json] [--steps] [--custom LIB.so]...",
     "time loading and running"},
    {"test", verb_test,
     "DIR... [--rtol R] [--atol A] [--range R] [--threads N]\n            [--custom LIB.so]...",
     "run ONNX test folders (model.onnx, test_data_set_N)"},
    {"compare", verb_compare,
     "A B [--input NAME=FILE.npy]... [--nodes] [--custom LIB.so]...",
     "how far the outputs of two models, or two folders of .npy, are apart"},
    {"diff", verb_diff,
     "A B [--custom LIB.so]...",
     "name options, nodes and tensors in which two models differ"},
    {"prune", verb_prune,
     "IN.onnx -o OUT [--structured SHARE] [--time SHARE] [--sparse N:M|block:DENSITY]\n"
     "            [--calib DATA] [--exclude NODE]... [--dim NAME=N]... [--report]",
     "take out channels, neurons and heads, or weights; OUT ends in .onnx or .fz"},
    {"audit-int8", verb_audit_int8, "",
     "check every pair of bytes on this machine's integer kernels, and the largest sums"},
    {"export-onnx", verb_export_onnx, "FILE.fz -o OUT.onnx [--custom LIB.so]...",
     "give back the ONNX file of a model that was frozen with --keep-onnx"},
#ifdef FZ_HAVE_STORE
    {"keygen", verb_keygen, "PRIVATE.pem PUBLIC.pem [--kind ed25519|p256]",
     "make a pair of keys for signing"},
    {"sign", verb_sign, "FILE.fz --key PRIVATE.pem [--bundle] [-o FILE.fz.sig]",
     "sign a frozen file, with --bundle as OpenSSF Model Signing has it; fz verify --key checks"},
    {"store", verb_store,
     "init DIR | put DIR FILE.fz [--tag NAME] | get DIR REF -o FILE | ls DIR\n"
     "            | tag DIR REF NAME | history DIR NAME | rollback DIR NAME\n"
     "            | pin DIR REF [--undo] | gc DIR [--keep N] | fsck DIR | path DIR REF",
     "a store of models by their ids; REF is a tag or an id, and MODEL may be store:DIR:REF"},
    {"audit", verb_audit, "LOG [--key PUBLIC.pem] [--head HEX]",
     "prove a log of receipts: no line changed, removed or added in between"},
    {"replay", verb_replay,
     "LOG --inputs DIR [--model FILE.fz]... [--threads N] [--key PUBLIC.pem]\n"
     "            [--custom LIB.so]...",
     "run again what a log says was run, and compare the bits"},
#endif
};

static void usage(FILE *to) {
    fprintf(to, "usage: fz VERB ...      MODEL is a .fz or an .onnx file\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(to, "  fz %-11s %s\n            %s\n", verbs[i].name, verbs[i].usage,
                verbs[i].what);
    fprintf(to, "  LIB.so: a shared object whose frozen_custom_ops() gives operators: custom.h\n"
                "  fz --version | --help | VERB --help\n"
                "exit status: 0 good, 1 the check failed, 2 usage or input error\n");
}

static bool asks_help(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        usage(stderr);
        return TROUBLE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("fz %s\n", fz_version());
        return GOOD;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return GOOD;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0) continue;
        if (asks_help(argc - 2, argv + 2)) {
            printf("usage: fz %s %s\n%s\n", verbs[i].name, verbs[i].usage, verbs[i].what);
            return GOOD;
        }
        int status = verbs[i].run(argc - 2, argv + 2);
        if (fflush(stdout) != 0 || ferror(stdout)) return trouble("cannot write the output");
        return status;
    }
    return trouble("unknown verb '%s'; try fz --help", argv[1]);
}
