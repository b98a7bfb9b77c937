/*
 * cli.h - what the program does for an administrator at a shell: it asks the running daemon over its Unix socket, where
 * root and the daemon's own user need no token. One thread, no daemon in this process.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* "backpropd token create|list|revoke ...", argv as main's. Returns the exit status. */
int cli_token(int argc, char **argv);

#endif
