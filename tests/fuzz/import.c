/* Rows of an import. First byte even: NDJSON, odd: CSV; the rest is the file, read through a pipe. */
#define _GNU_SOURCE /* memfd_create */
#include "core/username.h"
#include "crypto/secret.h"
#include "import/row.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static int file_of(const uint8_t *bytes, size_t n)
{
    int fd = memfd_create("rows", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* What is taken keeps to its bounds and says nothing of a hash when it is refused. */
static void take(const struct auth_import_rules *rules, const struct auth_import_record *record)
{
    struct busi_call call;
    struct auth_import_row row = {0};
    busi_call_init(&call, 1 << 20);
    const char *why = auth_import_read(&call, rules, record->text, &row);
    require(why || row.email_key.ptr || row.username.key.ptr);
    require(!why || *why);
    busi_call_fini(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_import_reader reader;
    struct auth_import_record record;
    struct auth_import_rules rules = {.csv = size > 0 && data[0] % 2,
                                      .cost = {.memory_bytes = 8 << 20, .passes = 1, .most_bytes = 64 << 20},
                                      .roles = BUSI_STR("admin,guest,root")};
    static bool prepared;
    if (!prepared)
        require(busi_crypto_init() && auth_username_prepare());
    prepared = true;
    if (size < 1)
        return 0;
    int fd = file_of(data + 1, size - 1);
    require(auth_import_reader_init(&reader, fd, rules.csv));
    bool header = rules.csv;
    int64_t line = 0;
    while (auth_import_reader_next(&reader, &record)) {
        require(record.line > line);
        line = record.line;
        if (record.refused)
            continue;
        struct busi_call call;
        busi_call_init(&call, 1 << 16);
        bool bad = header && auth_import_header(&call, record.text, &rules);
        busi_call_fini(&call);
        if (bad)
            break;
        if (!header)
            take(&rules, &record);
        header = false;
    }
    auth_import_reader_fini(&reader);
    close(fd);
    return 0;
}
