/* handlers.h - the handlers' prototypes, from routes.def; included by the files that define them. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/api.h"

#define ROUTE(method, path, handler, body, pace, scope, summary) void handler(struct http_request *rq);
#include "api/routes.def"

#endif
