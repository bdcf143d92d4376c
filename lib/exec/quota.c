/* The CPUs that the control groups of this process allow: cpu.max of version 2, cfs_quota_us and
 * cfs_period_us of version 1. A group is bound by those around it, so the least quota on the way
 * up to the root counts. A container may see its own group as the root, or under the path that it
 * has outside: what does not exist is passed over. */
#include "exec/quota.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

/* Reads up to N numbers at ROOT DIR GROUP NAME; gives how many there are. "max" is none. */
static int read_numbers(const char *root, const char *dir, const char *group, const char *name,
                        int n, long long *out) {
    char path[3 * PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s%s%s/%s", root, dir, group, name), got = 0;
    if (length < 0 || (size_t)length >= sizeof path) return 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (got < n && fscanf(file, "%lld", &out[got]) == 1) got++;
    fclose(file);
    return got;
}

/* LIMIT or QUOTA / PERIOD, rounded up, whichever is less; 0 is no limit. */
static uint32_t lesser(uint32_t limit, long long quota, long long period) {
    if (quota <= 0 || period <= 0 || quota / period >= 1 << 20) return limit;
    uint32_t cpus = (uint32_t)(quota / period + (quota % period != 0));
    return !limit || cpus < limit ? cpus : limit;
}

static uint32_t limit_v2(const char *root, const char *group, uint32_t limit) {
    long long v[2];
    if (read_numbers(root, "/sys/fs/cgroup", group, "cpu.max", 2, v) != 2) return limit;
    return lesser(limit, v[0], v[1]);
}

static uint32_t limit_v1(const char *root, const char *group, uint32_t limit) {
    static const char *const dirs[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"};
    for (int i = 0; i < 2; i++) {
        long long quota, period;
        if (read_numbers(root, dirs[i], group, "cpu.cfs_quota_us", 1, &quota) == 1 &&
            read_numbers(root, dirs[i], group, "cpu.cfs_period_us", 1, &period) == 1)
            limit = lesser(limit, quota, period);
    }
    return limit;
}

/* The groups from GROUP, which is shortened, up to the root. */
static uint32_t walk_up(const char *root, char *group, bool v2, uint32_t limit) {
    for (;;) {
        limit = v2 ? limit_v2(root, group, limit) : limit_v1(root, group, limit);
        char *slash = strrchr(group, '/');
        if (!slash) return limit;
        *slash = 0;
    }
}

/* True if LIST, words between commas, has "cpu". */
static bool has_cpu(const char *list) {
    for (const char *p = list; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, "cpu", 3) == 0 && (p[3] == ',' || p[3] == 0)) return true;
    }
    return false;
}

/* A line of /proc/self/cgroup: number, controllers (none: version 2), group. */
static uint32_t limit_line(const char *root, char *line, uint32_t limit) {
    char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
    if (!group) return limit;
    list++;
    *group++ = 0;
    group[strcspn(group, "\n")] = 0;
    if (*list && !has_cpu(list)) return limit;
    return walk_up(root, group, *list == 0, limit);
}

uint32_t fzi_quota_cpus(const char *root) {
    char line[PATH_SIZE], path[PATH_SIZE];
    uint32_t limit = limit_v1(root, "", limit_v2(root, "", 0));
    int length = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file) return limit;
    while (fgets(line, sizeof line, file)) limit = limit_line(root, line, limit);
    fclose(file);
    return limit;
}
