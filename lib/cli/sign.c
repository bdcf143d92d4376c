/* fz keygen, fz sign. */
#include <frozen/sign.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

int verb_keygen(int argc, char **argv) {
    const char *kind = "ed25519";
    struct list operands = {0};
    const struct option options[] = {{"--kind", &kind, NULL, NULL}};
    if (!parse(argc, argv, options, 1, &operands)) return TROUBLE;
    if (operands.n != 2) return trouble("usage: fz keygen PRIVATE.pem PUBLIC.pem [--kind KIND]");
    bool p256 = strcmp(kind, "p256") == 0;
    if (!p256 && strcmp(kind, "ed25519") != 0)
        return trouble("--kind is ed25519 or p256, not '%s'", kind);
    if (fz_key_generate(p256 ? FZ_KEY_P256 : FZ_KEY_ED25519, operands.items[0],
                        operands.items[1]) != FZ_OK)
        return trouble("%s", fz_last_error());
    printf("%s: keep it secret; %s: for whoever verifies\n", operands.items[0], operands.items[1]);
    return GOOD;
}

int verb_sign(int argc, char **argv) {
    const char *key = NULL, *out = NULL;
    bool bundle = false;
    struct list operands = {0};
    const struct option options[] = {{"--key", &key, NULL, NULL},
                                     {"-o", &out, NULL, NULL},
                                     {"--bundle", NULL, &bundle, NULL}};
    if (!parse(argc, argv, options, 3, &operands)) return TROUBLE;
    if (operands.n != 1 || !key) return trouble("usage: fz sign FILE.fz --key PRIVATE.pem");
    fz_status_t status = bundle ? fz_bundle_sign(operands.items[0], key, out)
                                : fz_sign(operands.items[0], key, out);
    if (status != FZ_OK) return trouble("%s", fz_last_error());
    printf("%s%s\n", out ? out : operands.items[0], out ? "" : ".sig");
    return GOOD;
}
