/*
 * router.c - from method and path to a row of the route table; 404 against 405, OPTIONS.
 * The table is cut into segments once, by http_start; finding is done on an event thread, on raw bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "http/inside.h"

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
enum { METHODS = sizeof(methods) / sizeof(methods[0]) };

const char *method_known(const char *method)
{
	for (int i = 0; i < METHODS; i++)
		if (strcmp(method, methods[i]) == 0)
			return methods[i];
	return NULL;
}

static bool route_compile(struct compiled_route *ret, const struct route *route)
{
	int named = 0;
	ret->route = route;
	if (!method_known(route->method) || !route->handler || route->path[0] != '/')
		return false;
	if (strcmp(route->path, "/") == 0)
		return true;
	for (const char *p = route->path; *p;) {
		size_t size = strcspn(p + 1, "/");
		if (ret->nsegments == SEGMENTS_MAX || size == 0)
			return false;
		bool is_named = p[1] == '{' && p[size] == '}';
		ret->segments[ret->nsegments].at = p + 1 + is_named;
		ret->segments[ret->nsegments].size = is_named ? size - 2 : size;
		ret->segments[ret->nsegments++].named = is_named;
		named += is_named;
		ret->literals += !is_named;
		p += 1 + size;
	}
	return named <= NAMED_MAX;
}

struct compiled_route *routes_compile(const struct route *routes, int n)
{
	struct compiled_route *list = calloc((size_t)n + 1, sizeof(*list));
	for (int i = 0; list && i < n; i++)
		if (!route_compile(&list[i], &routes[i])) {
			log_line(LOG_ERROR, "the route %s %s is not valid", routes[i].method, routes[i].path);
			free(list);
			return NULL;
		}
	return list;
}

static bool path_fits(const struct compiled_route *r, const char *path)
{
	if (strcmp(path, "/") == 0)
		return r->nsegments == 0;
	int i = 0;
	for (const char *p = path; *p; i++) {
		size_t size = strcspn(p + 1, "/");
		if (i == r->nsegments || size == 0)
			return false;
		if (!r->segments[i].named &&
			(size != r->segments[i].size || memcmp(p + 1, r->segments[i].at, size) != 0))
			return false;
		p += 1 + size;
	}
	return i == r->nsegments && i > 0;
}

static bool name_valid(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return n > 0 && s[n] == '\0';
}

/* Decodes the named segments; the path is known to fit and its escapes to be whole. */
static bool take_named(struct http_request *rq, const struct compiled_route *r)
{
	const char *p = rq->target;
	for (int i = 0; i < r->nsegments; i++) {
		size_t size = strcspn(p + 1, "/");
		if (r->segments[i].named) {
			struct named *n = &rq->named[rq->nnamed++];
			n->name = r->segments[i].at;
			n->size = r->segments[i].size;
			char decoded[TARGET_MAX + 1];
			if (!target_decode(p + 1, size, decoded, true) || !name_valid(decoded) ||
				strlen(decoded) > NAME_MAX_LENGTH) {
				http_reply_error(rq, ERR_INVALID_NAME, "",
					"The path's {%.*s} may have 1 to %d letters, digits, dots, dashes and "
					"underscores.",
					(int)n->size, n->name, NAME_MAX_LENGTH);
				return false;
			}
			memcpy(n->value, decoded, strlen(decoded) + 1);
		}
		p += 1 + size;
	}
	return true;
}

/* Which methods the path has, as a mask over methods[]. "*" has all that any route has. */
static unsigned path_methods(const struct http_request *rq)
{
	unsigned mask = 0;
	for (int i = 0; i < rq->srv->o.nroutes; i++) {
		const struct compiled_route *r = &rq->srv->routes[i];
		if (strcmp(rq->target, "*") != 0 && !path_fits(r, rq->target))
			continue;
		for (int m = 0; m < METHODS; m++)
			if (strcmp(methods[m], r->route->method) == 0)
				mask |= 1u << m | (m == 0 ? 1u << 1 : 0); /* HEAD follows from GET */
	}
	return mask ? mask | 1u << (METHODS - 1) : 0;
}

static void reply_allow(struct http_request *rq, unsigned mask)
{
	char allow[80] = "";
	for (int m = 0, n = 0; m < METHODS; m++)
		if (mask >> m & 1)
			n += snprintf(allow + n, sizeof(allow) - (size_t)n, "%s%s", n > 0 ? ", " : "", methods[m]);
	http_reply_header(rq, "Allow", allow);
	if (strcmp(rq->method, "OPTIONS") == 0)
		http_reply_empty(rq, 204);
	else
		http_reply_error(
			rq, ERR_METHOD_NOT_ALLOWED, "", "%s is not among: %s.", rq->head ? "HEAD" : rq->method, allow);
}

bool route_find(struct http_request *rq)
{
	const struct compiled_route *best = NULL;
	for (int i = 0; i < rq->srv->o.nroutes; i++) {
		const struct compiled_route *r = &rq->srv->routes[i];
		if (strcmp(r->route->method, rq->method) == 0 && path_fits(r, rq->target) &&
			(!best || r->literals > best->literals))
			best = r;
	}
	if (best) {
		rq->route = best->route;
		return take_named(rq, best);
	}
	unsigned mask = path_methods(rq);
	if (mask)
		reply_allow(rq, mask);
	else
		http_reply_error(rq, ERR_ROUTE_NOT_FOUND, "", "Nothing is served at this path.");
	return false;
}
