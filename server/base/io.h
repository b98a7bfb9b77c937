/* io.h - calls on files that a signal may interrupt. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <errno.h>

/* How often a call is made that is interrupted each time. Then it has failed with EINTR like with any other error: who
 * tried for ever could not be stopped. */
enum { IO_TRIES = 100 };

/* What the call gives; made again while it is interrupted. */
#define IO_TRY(call)                                                                                                   \
	__extension__({                                                                                                \
		__typeof__(call) io_result;                                                                            \
		int io_left = IO_TRIES;                                                                                \
		do                                                                                                     \
			io_result = (call);                                                                            \
		while (io_result < 0 && errno == EINTR && --io_left > 0);                                              \
		io_result;                                                                                             \
	})

#endif
