/* CivetWeb's accept thread asks again at once for a connection that it has no descriptor for: it would use up
 * a processor, and whoever knocks would wait. So the accept() it calls is ours, which shows such a connection
 * out by a descriptor that is kept for it (busi_connections_turned_away_total). */
#pragma once

/* Before a server is started; again does nothing. */
void busi_web_accept_init(void);
