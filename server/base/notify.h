/*
 * notify.h - systemd's sd_notify protocol and socket activation, without libsystemd (sd_notify(3), sd_listen_fds(3)).
 * Main thread.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

/* Sends e.g. "READY=1\nSTATUS=..." to $NOTIFY_SOCKET; does nothing without it. Waits at most 2 s for its reader. */
void notify_send(const char *state);
/* Seconds between WATCHDOG=1 messages (half of WATCHDOG_USEC), 0 = none wanted. */
double notify_watchdog_seconds(void);
/* The first passed listening socket (3) when LISTEN_PID is this process, else -1. */
int notify_listen_fd(void);

#endif
