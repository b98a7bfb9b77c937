/* ask.h - one request to the running daemon over its Unix socket. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <jansson.h>
#include <stdbool.h>

/* body may be NULL. *ret: the answer's JSON, NULL when it has none; a new reference. False (printed): there is no
 * daemon at that socket, or it refused. */
bool ask(const char *socket_path, const char *method, const char *target, const json_t *body, json_t **ret);

#endif
