#include "service/small_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* One byte more than allowed is asked for: a file that grows after fstat is noticed. */
static const char *read_all(int fd, char *to, size_t room, size_t *len)
{
    *len = 0;
    while (*len < room) {
        ssize_t n = read(fd, to + *len, room - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return strerror(errno);
        if (n == 0)
            return NULL;
        *len += (size_t)n;
    }
    return "is larger than it may be";
}

const char *busi_small_file_read(const char *path, size_t max_bytes, struct busi_arena *arena,
                                 struct busi_str *out)
{
    /* O_NONBLOCK: opening a pipe nobody writes to must not hang */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    const char *error = NULL;
    struct stat st;
    char *bytes = NULL;
    size_t len = 0;
    if (fstat(fd, &st) != 0)
        error = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        error = "is not a regular file";
    else if (st.st_size > (off_t)max_bytes)
        error = "is larger than it may be";
    else if (!(bytes = busi_arena_alloc(arena, max_bytes + 2)))
        error = "out of memory";
    else
        error = read_all(fd, bytes, max_bytes + 1, &len);
    close(fd);
    if (!error)
        *out = (struct busi_str){bytes, len};
    return error;
}
