#include "http/front_view.h"
#include "http/front_state.h"
#include <arpa/inet.h>
#include <civetweb.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* struct mg_connection of CivetWeb 1.15 as Debian 12 builds it (TLS and websockets in; statistics, HTTP/2,
 * Lua and zlib out), as far as we read. */
struct layout {
    int connection_type, protocol_type, request_state;
    struct mg_request_info request;
    struct mg_response_info response;
    void *context, *domain, *ssl;
    struct {
        int number;
        struct sockaddr_in local, remote;
        unsigned char is_ssl, redirects, in_use;
    } socket;
    time_t born;
    struct timespec begun;
    int64_t sent, content_length, consumed;
    int is_chunked;
    char *buffer, *path_info;
    int must_close, accepts_gzip, in_error_handler, in_websocket;
    int requests, room, head_bytes, received;
};

static const struct layout *layout_of(const struct mg_connection *connection)
{
    return (const struct layout *)(const void *)connection;
}

bool front_view_read(const struct mg_connection *connection, struct front_view *out)
{
    const struct layout *in = layout_of(connection);
    if (mg_get_request_info(connection) != &in->request || in->room != FRONT_HEAD_MAX || !in->buffer ||
        in->received < 0 || in->received > in->room || in->head_bytes > in->received)
        return false;
    *out = (struct front_view){.buffer = in->buffer,
                               .room = (size_t)in->room,
                               .received = (size_t)in->received,
                               .head_bytes = in->head_bytes > 0 ? (size_t)in->head_bytes : 0,
                               .requests = in->requests};
    return true;
}

int front_view_socket(const struct mg_connection *connection)
{
    const struct layout *in = layout_of(connection);
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    char address[INET_ADDRSTRLEN];
    if (getpeername(in->socket.number, (struct sockaddr *)&peer, &size) != 0 || size != sizeof(peer) ||
        peer.sin_family != AF_INET || ntohs(peer.sin_port) != in->request.remote_port ||
        !inet_ntop(AF_INET, &peer.sin_addr, address, sizeof(address)) ||
        strcmp(address, in->request.remote_addr) != 0)
        return -1;
    return in->socket.number;
}
