#include "service/process_metrics.h"
#include "base/clock.h"
#include "base/metrics.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Start of the process in clock ticks since boot: field 22 of /proc/self/stat. -1 if unreadable. */
static long long start_ticks(void)
{
    char line[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file)
        return -1;
    const char *at = fgets(line, sizeof(line), file);
    fclose(file);
    /* the name in field 2 may hold blanks and parentheses: count from the last ')' */
    at = at ? strrchr(line, ')') : NULL;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at + 1, NULL, 10) : -1;
}

int64_t busi_process_age_ms(void)
{
    struct timespec now;
    long long ticks = start_ticks();
    if (ticks < 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return -1;
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return now_ms - ticks * 1000 / sysconf(_SC_CLK_TCK);
}

static int64_t resident_bytes(void)
{
    char line[128];
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    const char *at = fgets(line, sizeof(line), file);
    fclose(file);
    at = at ? strchr(line, ' ') : NULL;
    return at ? strtoll(at + 1, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

static int64_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int64_t n = -3; /* ".", ".." and the folder's own descriptor */
    if (!folder)
        return 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

void busi_process_metrics_print(struct busi_buf *out, const char *service)
{
    struct rlimit limit;
    busi_metric_set(BUSI_METRIC_process_resident_memory, resident_bytes());
    busi_metric_set(BUSI_METRIC_process_open_fds, open_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        busi_metric_set(BUSI_METRIC_process_max_fds, (int64_t)limit.rlim_cur);
    busi_metric_set(BUSI_METRIC_process_start_time, busi_wall_us() / 1000000 - busi_process_age_ms() / 1000);
    busi_metrics_print(out);
    busi_buf_printf(out,
                    "# HELP busi_build_info What runs here; the value is always 1\n"
                    "# TYPE busi_build_info gauge\n"
                    "busi_build_info{service=\"%s\",version=\"%s\"} 1\n",
                    service, BUSI_VERSION);
}
