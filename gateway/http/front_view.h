/* What CivetWeb knows of a connection but has no function for: its socket, and the bytes it received. Read
 * from the connection's own memory by the layout of exactly the packaged version; every use is checked
 * against what the public interface says, and self_test.c proves it before the gateway serves. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct mg_connection;

struct front_view {
    char *buffer;      /* received bytes, cut in place by CivetWeb's parser; owned by it */
    size_t room;       /* bytes allocated */
    size_t received;   /* bytes in it: head, then what came of the body and of later requests */
    size_t head_bytes; /* with the empty line; 0 when no whole head came */
    int requests; /* heads this connection has ended with an answer or without, the present one not counted */
};

/* False when the memory cannot be what we think it is. */
[[nodiscard]] bool front_view_read(const struct mg_connection *connection, struct front_view *out);
/* The connection's socket, proven by its peer's address; -1 when the peer has gone (or the layout is
 * another). */
[[nodiscard]] int front_view_socket(const struct mg_connection *connection);
