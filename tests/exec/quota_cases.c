/* The CPUs that control groups allow, in trees made on the spot. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "exec/quota.h"

/* Writes TEXT to the file PATH below ROOT, with the folders that it needs. */
static void put(const char *root, const char *path, const char *text) {
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(full, 0700);
    }
    write_whole(full, text, strlen(text));
}

static const char *new_root(const char *name) {
    const char *root = temporary(name);
    mkdir(root, 0700);
    return root;
}

static void no_groups(void **state) {
    assert_int_equal(fzi_quota_cpus(new_root("quota_none")), 0);
    const char *root = new_root("quota_max");
    put(root, "proc/self/cgroup", "0::/\n");
    put(root, "sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_int_equal(fzi_quota_cpus(root), 0);
}

/* Version 2: the least quota on the way up, rounded up. */
static void version_2(void **state) {
    const char *root = new_root("quota_v2");
    put(root, "proc/self/cgroup", "0::/user.slice/job.scope\n");
    put(root, "sys/fs/cgroup/user.slice/job.scope/cpu.max", "350000 100000\n");
    assert_int_equal(fzi_quota_cpus(root), 4);
    put(root, "sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
    assert_int_equal(fzi_quota_cpus(root), 2);
    put(root, "sys/fs/cgroup/cpu.max", "100000 100000\n");
    assert_int_equal(fzi_quota_cpus(root), 1);
}

/* Version 1, whose controllers may share a folder; -1 is no quota. */
static void version_1(void **state) {
    const char *root = new_root("quota_v1");
    put(root, "proc/self/cgroup",
        "11:cpuset:/docker/a\n4:cpu,cpuacct:/docker/a\n1:name=systemd:/docker/a\n0::/\n");
    put(root, "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us", "-1\n");
    put(root, "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us", "100000\n");
    assert_int_equal(fzi_quota_cpus(root), 0);
    put(root, "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n");
    put(root, "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "50000\n");
    assert_int_equal(fzi_quota_cpus(root), 5);
    put(root, "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us", "20000\n");
    assert_int_equal(fzi_quota_cpus(root), 1);
}

/* A container that sees its own group as the root, but its path as it is outside. */
static void path_of_the_outside(void **state) {
    const char *root = new_root("quota_inside");
    put(root, "proc/self/cgroup", "3:cpu:/kubepods/b\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(fzi_quota_cpus(root), 2);
}

static void nonsense(void **state) {
    const char *root = new_root("quota_bad");
    put(root, "proc/self/cgroup", "no colon\n0:\n::\n0::/a/../b\n7:cpuset,cpuacct:/x\n");
    put(root, "sys/fs/cgroup/cpu.max", "7\n");
    put(root, "sys/fs/cgroup/b/cpu.max", "100000 0\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "99999999999999999999\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "x\n");
    assert_int_equal(fzi_quota_cpus(root), 0);
}

const struct CMUnitTest quota_cases[] = {
    cmocka_unit_test(no_groups),
    cmocka_unit_test(version_2),
    cmocka_unit_test(version_1),
    cmocka_unit_test(path_of_the_outside),
    cmocka_unit_test(nonsense),
};
const size_t n_quota_cases = sizeof quota_cases / sizeof *quota_cases;
