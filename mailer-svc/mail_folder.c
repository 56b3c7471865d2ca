#include "mail_folder.h"
#include "base/clock.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEFT_BEHIND_SECONDS = 600, NAME_BYTES = 128 };

static int open_folder(const char *folder)
{
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Hidden, and nobody else's: another mailer may write the same mail when our lease has ended. */
static bool temporary_name(char out[NAME_BYTES], const char *name)
{
    uint64_t token;
    snprintf(out, NAME_BYTES, ".%s.", name);
    if (getrandom(&token, sizeof(token), 0) != sizeof(token))
        return false;
    size_t len = strlen(out);
    snprintf(out + len, NAME_BYTES - len, "%016" PRIx64 ".tmp", token);
    return true;
}

static bool is_temporary(const char *name)
{
    size_t len = strlen(name);
    return name[0] == '.' && len > 4 && strcmp(name + len - 4, ".tmp") == 0;
}

static int write_all(int fd, struct busi_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        bytes = (struct busi_str){bytes.ptr + n, bytes.len - (size_t)n};
    }
    return fsync(fd) == 0 ? 0 : errno;
}

static int write_file(int folder_fd, const char *name, struct busi_str bytes)
{
    char temporary[NAME_BYTES];
    if (!temporary_name(temporary, name))
        return errno;
    int fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno;
    int error = write_all(fd, bytes);
    if (close(fd) != 0 && error == 0)
        error = errno;
    if (error == 0 && renameat(folder_fd, temporary, folder_fd, name) != 0)
        error = errno;
    if (error != 0)
        unlinkat(folder_fd, temporary, 0);
    return error;
}

void mail_folder_write(const char *folder, struct mail_file *files, size_t n_files)
{
    int fd = open_folder(folder);
    int error = fd < 0 ? errno : 0;
    for (size_t i = 0; i < n_files; i++)
        files[i].error = error != 0 ? error : write_file(fd, files[i].name, files[i].bytes);
    if (fd < 0)
        return;
    error = fsync(fd) == 0 ? 0 : errno; /* the names, too, must survive */
    for (size_t i = 0; i < n_files; i++)
        if (files[i].error == 0)
            files[i].error = error;
    close(fd);
}

void mail_folder_clean(const char *folder)
{
    DIR *open = opendir(folder);
    struct dirent *entry;
    struct stat st;
    int64_t old = busi_wall_us() / 1000000 - LEFT_BEHIND_SECONDS;
    while (open && (entry = readdir(open)) != NULL)
        if (is_temporary(entry->d_name) &&
            fstatat(dirfd(open), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime < old)
            unlinkat(dirfd(open), entry->d_name, 0);
    if (open)
        closedir(open);
}

int mail_folder_probe(const char *folder)
{
    int fd = open_folder(folder);
    if (fd < 0)
        return errno;
    int error = write_file(fd, ".probe", BUSI_STR("busi\n"));
    unlinkat(fd, ".probe", 0);
    close(fd);
    return error;
}
