/* The text of a configuration file, line by line: "key = value", empty lines, lines that begin with #. Blanks
 * around key and value do not count; everything else in a value does, # and quotes included. A byte order
 * mark and CRLF line ends are fine. Pure; borrows the text. */
#pragma once
#include "base/str.h"

struct busi_config_lines {
    struct busi_str rest; /* not yet read */
    unsigned line;        /* number of the line that was read last; from 1 */
    struct busi_str key;  /* [a-z0-9_]+ */
    struct busi_str value;
    const char *error; /* what is wrong with this line, static; NULL: key and value are set */
};
void busi_config_lines_init(struct busi_config_lines *lines, struct busi_str text);
/* Goes to the next line that says something; false at the end. */
bool busi_config_lines_next(struct busi_config_lines *lines);
