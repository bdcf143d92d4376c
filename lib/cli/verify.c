/* fz verify: exit status 0 only if everything that is asked for holds. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static const char *const levels[] = {"none", "pages", "sealed", "sealed for ever"};

static int verify(fz_model_t *model, bool kat, bool is_signed) {
    char hex[65];
    if (fz_model_verify(model) != FZ_OK) {
        trouble("%s", fz_last_error());
        return FAILED;
    }
    if (fz_model_id(model, hex) != FZ_OK) return library_trouble("id");
    fz_status_t answer = kat ? fz_model_known_answer(model) : FZ_OK;
    if (answer != FZ_OK) {
        trouble("%s", fz_last_error());
        return FAILED;
    }
    int level = fz_model_protection(model);
    printf("ok %s  %s, protection %d (%s)%s%s\n", hex, fz_model_profile(model), level,
           levels[level],
           kat ? ", known answer equal" : "", is_signed ? ", signed by the key" : "");
    return GOOD;
}

int verb_verify(int argc, char **argv) {
    const char *expect = NULL, *key = NULL, *signature = NULL;
    bool kat = false;
    struct list operands = {0};
    const struct option options[] = {{"--expect", &expect, NULL, NULL},
                                     {"--kat", NULL, &kat, NULL},
                                     {"--key", &key, NULL, NULL},
                                     {"--signature", &signature, NULL, NULL}};
    if (!parse(argc, argv, options, 4, &operands)) return TROUBLE;
    if (operands.n != 1)
        return trouble("usage: fz verify FILE.fz [--expect HEX] [--kat] [--key PUBLIC.pem]");
    fz_open_options_t open_options = {.size = sizeof open_options, .expect = expect,
                                      .signer = key, .signature = signature};
    fz_model_t *model;
    fz_status_t opened = fz_model_open(operands.items[0], &open_options, &model);
    if (opened != FZ_OK) {
        trouble("%s", fz_last_error());
        return opened == FZ_E_USAGE || opened == FZ_E_IO ? TROUBLE : FAILED;
    }
    int status = verify(model, kat, key != NULL);
    fz_model_close(model);
    return status;
}
