/* fz verify: exit status 0 only if everything that is asked for holds. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#ifdef FZ_HAVE_STORE
#include <frozen/sign.h>
#endif

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
           levels[level], kat ? ", known answer equal" : "",
           is_signed ? ", signed by the key" : "");
    return GOOD;
}

static int opening(fz_status_t status) {
    trouble("%s", fz_last_error());
    return status == FZ_E_USAGE || status == FZ_E_IO ? TROUBLE : FAILED;
}

#ifdef FZ_HAVE_STORE
static bool is_bundle(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* it may be a FIFO */
    FILE *file = fd >= 0 ? fdopen(fd, "rb") : NULL;
    int c = file ? getc(file) : EOF;
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') c = getc(file);
    if (file) fclose(file);
    else if (fd >= 0) close(fd);
    return c == '{';
}

/* A bundle says which file it is for: that one is expected, as well as what the caller expects. */
static int check_bundle(const char *model, const char *signature, fz_open_options_t *o,
                        char hex[65]) {
    static char beside[4096];
    if (!signature) {
        snprintf(beside, sizeof beside, "%s.sig", model);
        signature = beside;
    }
    if (!o->signer || !is_bundle(signature)) return GOOD;
    fz_status_t status = fz_bundle_verify(signature, o->signer, hex);
    if (status != FZ_OK) return opening(status);
    if (o->expect && strcmp(o->expect, hex) != 0) {
        trouble("'%s' is for the model %s, expected was %s", signature, hex, o->expect);
        return FAILED;
    }
    o->expect = hex;
    o->signer = o->signature = NULL;
    return GOOD;
}
#endif

int verb_verify(int argc, char **argv) {
    const char *expect = NULL, *key = NULL, *signature = NULL;
    bool kat = false;
    struct list operands = {0};
    const struct option options[] = {{"--expect", &expect, NULL, NULL},
                                     {"--kat", NULL, &kat, NULL},
                                     {"--key", &key, NULL, NULL},
                                     {"--signature", &signature, NULL, NULL},
                                     {"--custom", NULL, NULL, &custom_libraries}};
    if (!parse(argc, argv, options, 5, &operands)) return TROUBLE;
    if (operands.n != 1)
        return trouble("usage: fz verify FILE.fz [--expect HEX] [--kat] [--key PUBLIC.pem]");
    if (signature && !key) return trouble("--signature is checked with a key: --key PUBLIC.pem");
    fz_open_options_t open_options = {.size = sizeof open_options, .expect = expect,
                                      .signer = key, .signature = signature};
    if (!load_custom(&open_options.custom)) return TROUBLE;
    fz_model_t *model;
#ifdef FZ_HAVE_STORE
    char hex[65];
    int checked = check_bundle(operands.items[0], signature, &open_options, hex);
    if (checked != GOOD) return checked;
#endif
    fz_status_t opened = fz_model_open(operands.items[0], &open_options, &model);
    if (opened != FZ_OK) return opening(opened);
    int status = verify(model, kat, key != NULL);
    fz_model_close(model);
    return status;
}
