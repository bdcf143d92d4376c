/* Signs MODEL, puts it into a store, takes it out again as copy.fz, prints its id: store MODEL */
#include <stdio.h>

#include <frozen/sign.h>
#include <frozen/store.h>

int main(int argc, char **argv) {
    char hex[65];
    fz_open_options_t options = {.size = sizeof options, .signer = "public.pem"};
    fz_model_t *model;
    if (argc == 2 && fz_key_generate(FZ_KEY_ED25519, "private.pem", "public.pem") == FZ_OK &&
        fz_sign(argv[1], "private.pem", NULL) == FZ_OK &&
        fz_model_open(argv[1], &options, &model) == FZ_OK && fz_store_init("models") == FZ_OK &&
        fz_store_put("models", argv[1], "digits", hex) == FZ_OK &&
        fz_store_get("models", "digits", "copy.fz") == FZ_OK) {
        fz_model_close(model);
        return puts(hex) < 0;
    }
    return fprintf(stderr, "%s\n", fz_last_error()), 1;
}
