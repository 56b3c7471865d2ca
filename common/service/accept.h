/* CivetWeb's accept thread and libzmq's I/O thread ask again at once for a connection that they have no
 * descriptor for: they would use up a processor, and whoever knocks would wait. So the accept() and accept4()
 * that they call are ours, which show such a connection out by a descriptor that is kept for it
 * (busi_connections_turned_away_total). */
#pragma once

/* Before anybody listens; again does nothing. */
void busi_accept_init(void);
