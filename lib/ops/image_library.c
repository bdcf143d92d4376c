/* Finds libfrozen-images: beside the library that holds this function, else where the system looks.
 * It stays loaded; loading it again is a look-up. */
#include "ops/image.h"

#if defined(FZ_HAVE_IMAGES)
#include <dlfcn.h>
#include <stdio.h>

static void *load(void) {
    static const char name[] = "libfrozen-images.so.0";
    char path[4096];
    Dl_info here;
    fz_image_fn (*self)(enum fz_image_format) = fzi_image_library;
    void *address, *library = NULL;
    memcpy(&address, &self, sizeof address);
    const char *slash = dladdr(address, &here) && here.dli_fname ? strrchr(here.dli_fname, '/')
                                                                 : NULL;
    if (slash) {
        int n = snprintf(path, sizeof path, "%.*s/%s", (int)(slash - here.dli_fname),
                         here.dli_fname, name);
        if (n > 0 && (size_t)n < sizeof path) library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return library ? library : dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

fz_image_fn fzi_image_library(enum fz_image_format format) {
    void *library = load(), *symbol = library ? dlsym(library, FZ_IMAGES_SYMBOL) : NULL;
    fz_image_fn (*find)(int32_t format) = NULL;
    if (!symbol) return NULL;
    memcpy(&find, &symbol, sizeof find);
    return find((int32_t)format);
}
#else
fz_image_fn fzi_image_library(enum fz_image_format format) {
    (void)format;
    return NULL;
}
#endif
