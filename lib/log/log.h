/* Logs of receipts; see log.h of the public headers. */
#ifndef FZ_LOG_LOG_H
#define FZ_LOG_LOG_H

#include <frozen/log.h>

#include "base/base.h"

fz_status_t fzi_log_append(const char *path, const char *receipt, const char *private_path,
                           char head[65]);
fz_status_t fzi_log_audit(const char *path, const fz_log_options_t *options, uint64_t *n_entries,
                          char head[65]);

#endif
