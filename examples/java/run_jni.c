/* The native methods of Run.java. A handle is a pointer to a model with one session. */
#include <jni.h>
#include <stdint.h>
#include <stdlib.h>

#include <frozen/frozen.h>

struct handle {
    fz_model_t *model;
    fz_session_t *session;
};

static void raise_error(JNIEnv *env, const char *message) {
    jclass type = (*env)->FindClass(env, "java/lang/RuntimeException");
    if (type) (*env)->ThrowNew(env, type, message);
}

static void release(struct handle *h) {
    if (!h) return;
    fz_session_close(h->session);
    fz_model_close(h->model);
    free(h);
}

static fz_status_t open_handle(const char *path, struct handle *h) {
    fz_status_t status = fz_model_open(path, NULL, &h->model);
    return status == FZ_OK ? fz_session_create(h->model, NULL, &h->session) : status;
}

JNIEXPORT jlong JNICALL Java_Run_open(JNIEnv *env, jclass self, jstring path) {
    const char *text = (*env)->GetStringUTFChars(env, path, NULL);
    struct handle *h = calloc(1, sizeof *h);
    (void)self;
    if (!text || !h || open_handle(text, h) != FZ_OK) {
        if (!(*env)->ExceptionCheck(env)) raise_error(env, h ? fz_last_error() : "out of memory");
        release(h);
        h = NULL;
    }
    if (text) (*env)->ReleaseStringUTFChars(env, path, text);
    return (jlong)(intptr_t)h;
}

JNIEXPORT void JNICALL Java_Run_close(JNIEnv *env, jclass self, jlong handle) {
    (void)env, (void)self;
    release((struct handle *)(intptr_t)handle);
}

/* The memory of a direct buffer, without a shape. */
static fz_tensor_t tensor_of(JNIEnv *env, jobject buffer) {
    return (fz_tensor_t){.dtype = FZ_TYPE_F32,
                         .data = (*env)->GetDirectBufferAddress(env, buffer),
                         .size = (size_t)(*env)->GetDirectBufferCapacity(env, buffer)};
}

JNIEXPORT void JNICALL Java_Run_run(JNIEnv *env, jclass self, jlong handle, jobject in,
                                    jlongArray dims, jobject out) {
    struct handle *h = (struct handle *)(intptr_t)handle;
    fz_tensor_t input = tensor_of(env, in), output = tensor_of(env, out);
    jlong sizes[FZ_RANK_MAX];
    (void)self;
    input.rank = (*env)->GetArrayLength(env, dims);
    if (!input.data || !output.data || input.rank > FZ_RANK_MAX) {
        raise_error(env, "run() takes direct buffers and at most 12 dimensions");
        return;
    }
    (*env)->GetLongArrayRegion(env, dims, 0, input.rank, sizes);
    for (int i = 0; i < input.rank; i++) input.dims[i] = sizes[i];
    if (fz_session_run(h->session, &input, 1, &output, 1) != FZ_OK)
        raise_error(env, fz_last_error());
}

JNIEXPORT jbyteArray JNICALL Java_Run_sha256(JNIEnv *env, jclass self, jobject data) {
    fz_tensor_t bytes = tensor_of(env, data);
    uint8_t digest[32];
    jbyteArray result = (*env)->NewByteArray(env, sizeof digest);
    (void)self;
    if (fz_sha256(bytes.data, bytes.size, digest) != FZ_OK) raise_error(env, fz_last_error());
    else if (result)
        (*env)->SetByteArrayRegion(env, result, 0, sizeof digest, (const jbyte *)digest);
    return result;
}
