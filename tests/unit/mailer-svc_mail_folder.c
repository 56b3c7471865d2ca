#include "mail_folder.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char folder[64];

static void begin(void)
{
    strcpy(folder, "/tmp/busi-mail-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(mail_folder, .init = begin, .fini = end);

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void expect_contents(const char *name, const char *want)
{
    char text[64] = "";
    FILE *file = fopen(path_of(name), "r");
    cr_assert_not_null(file, "%s", name);
    cr_expect_eq(fread(text, 1, sizeof(text) - 1, file), strlen(want));
    cr_expect_str_eq(text, want);
    fclose(file);
}

static int count_files(void)
{
    int n = 0;
    DIR *open = opendir(folder);
    cr_assert_not_null(open);
    for (struct dirent *entry; (entry = readdir(open)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(open);
    return n;
}

Test(mail_folder, files_appear_whole_and_nothing_else)
{
    struct mail_file files[] = {{.name = "1-a.eml", .bytes = BUSI_STR("one")},
                                {.name = "2-a.eml", .bytes = BUSI_STR("two")}};
    mail_folder_write(folder, files, 2);
    cr_expect_eq(files[0].error, 0);
    cr_expect_eq(files[1].error, 0);
    expect_contents("1-a.eml", "one");
    expect_contents("2-a.eml", "two");
    cr_expect_eq(count_files(), 2);
}

Test(mail_folder, a_repeat_overwrites)
{
    struct mail_file file = {.name = "1-a.eml", .bytes = BUSI_STR("first")};
    mail_folder_write(folder, &file, 1);
    file.bytes = BUSI_STR("again");
    mail_folder_write(folder, &file, 1);
    cr_expect_eq(file.error, 0);
    expect_contents("1-a.eml", "again");
    cr_expect_eq(count_files(), 1);
}

Test(mail_folder, a_missing_folder_is_every_files_error)
{
    struct mail_file files[] = {{.name = "1-a.eml", .bytes = BUSI_STR("one")},
                                {.name = "2-a.eml", .bytes = BUSI_STR("two")}};
    mail_folder_write(path_of("nowhere"), files, 2);
    cr_expect_eq(files[0].error, ENOENT);
    cr_expect_eq(files[1].error, ENOENT);
}

Test(mail_folder, one_files_error_is_its_own)
{
    struct mail_file files[] = {{.name = "1-a.eml", .bytes = BUSI_STR("one")},
                                {.name = "2-a.eml", .bytes = BUSI_STR("two")}};
    cr_assert_eq(mkdir(path_of("1-a.eml"), 0700), 0);
    mail_folder_write(folder, files, 2);
    cr_expect_neq(files[0].error, 0, "a folder is in the way");
    cr_expect_eq(files[1].error, 0);
    cr_expect_eq(count_files(), 2, "no temporary file is left");
}

Test(mail_folder, a_probe_tells_whether_files_can_be_written)
{
    cr_expect_eq(mail_folder_probe(folder), 0);
    cr_expect_eq(count_files(), 0);
    cr_expect_eq(mail_folder_probe(path_of("nowhere")), ENOENT);
    cr_assert_eq(close(creat(path_of("file"), 0600)), 0);
    cr_expect_eq(mail_folder_probe(path_of("file")), ENOTDIR);
}

Test(mail_folder, only_old_temporary_files_are_cleaned)
{
    static const char *const names[] = {".1-a.eml.00.tmp", ".2-a.eml.00.tmp", "3-a.eml", ".hidden"};
    struct timeval old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(close(creat(path_of(names[i]), 0600)), 0);
        if (i != 1)
            cr_assert_eq(utimes(path_of(names[i]), old), 0);
    }
    mail_folder_clean(folder);
    cr_expect_neq(access(path_of(names[0]), F_OK), 0);
    cr_expect_eq(access(path_of(names[1]), F_OK), 0, "a writer may still be at it");
    cr_expect_eq(access(path_of(names[2]), F_OK), 0);
    cr_expect_eq(access(path_of(names[3]), F_OK), 0);
    mail_folder_clean(path_of("nowhere"));
}
