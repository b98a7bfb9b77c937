/* routes.c - routes.def as the table that http dispatches by and /v1/catalog shows. */
#include "api/handlers.h"

const struct route api_routes[] = {
#define ROUTE(method, path, handler, body, pace, scope, summary)                                                       \
	{method, path, handler, body, pace, summary, SCOPE_##scope},
#include "api/routes.def"
};
const int api_nroutes = sizeof api_routes / sizeof api_routes[0];
