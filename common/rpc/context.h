/* The process's one ZeroMQ context. (Not czmq's: that one is terminated at exit() and waits there for every
 * socket still open.) Any thread. */
#pragma once

/* The first call creates it, also the first of a child after fork(). NULL: out of memory or descriptors. */
void *busi_zmq_context(void);
void busi_zmq_shutdown(void); /* after every socket is closed */
