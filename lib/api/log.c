/* The functions of log.h. */
#include "api/options.h"
#include "api/tell.h"
#include "log/log.h"

static fz_status_t append(const char *log_path, const char *receipt, const char *private_path,
                          char head[65]) {
    if (!log_path || !receipt) return fzi_error(FZ_E_USAGE, "fz_log_append: a pointer is NULL");
    return fzi_log_append(log_path, receipt, private_path, head);
}

fz_status_t fz_log_append(const char *log_path, const char *receipt, const char *private_path,
                          char head[65]) {
    if (head) head[0] = 0;
    return fzi_tell(append(log_path, receipt, private_path, head));
}

static fz_status_t audit(const char *log_path, const fz_log_options_t *options,
                         uint64_t *n_entries, char head[65]) {
    fz_log_options_t o;
    if (!log_path) return fzi_error(FZ_E_USAGE, "fz_log_audit: LOG_PATH is NULL");
    FZ_TRY(fzi_options_copy(&o, sizeof o, options, "fz_log_options_t"));
    if (o.head && (strspn(o.head, "0123456789abcdef") != 64 || o.head[64]))
        return fzi_error(FZ_E_USAGE, "the head must be 64 lower-case hex digits");
    return fzi_log_audit(log_path, &o, n_entries, head);
}

fz_status_t fz_log_audit(const char *log_path, const fz_log_options_t *options,
                         uint64_t *n_entries, char head[65]) {
    if (n_entries) *n_entries = 0;
    if (head) head[0] = 0;
    return fzi_tell(audit(log_path, options, n_entries, head));
}
