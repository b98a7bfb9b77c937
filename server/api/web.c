/* web.c - the files that are linked into the program: the dashboard and the API's description. */
#include <stdio.h>
#include <string.h>

#include "api/answer.h"
#include "api/handlers.h"
#include "base/embed.h"
#include "base/sha256.h"

/* Embedded files change with the program alone, so their content names them. */
static void reply_file(struct http_request *rq, struct embedded file)
{
	char hex[SHA256_HEX], etag[24];
	if (!file.data) {
		http_reply_error(rq, ERR_NOT_FOUND, "", "The dashboard has no such file.");
		return;
	}
	sha256_hex(file.data, file.size, hex);
	snprintf(etag, sizeof etag, "\"%.16s\"", hex);
	http_reply_header(rq, "ETag", etag);
	http_reply_header(rq, "Cache-Control", "no-cache"); /* keep it, but ask */
	const char *known = http_header(rq, "If-None-Match");
	if (known && strstr(known, etag))
		http_reply_empty(rq, 304);
	else
		http_reply_static(rq, 200, file.content_type, file.data, file.size);
}

void api_openapi(struct http_request *rq)
{
	reply_file(rq, embedded_find("server/api/openapi.json"));
}

void api_dashboard(struct http_request *rq)
{
	reply_file(rq, embedded_find("server/web/index.html"));
}

void api_asset(struct http_request *rq)
{
	/* Addresses are flat: /assets/uPlot.min.css is a file of server/web/ or of a folder in it. */
	static const char root[] = "server/web/";
	const char *name = http_segment(rq, "file");
	for (int i = 0; i < embedded_count(); i++) {
		struct embedded file = embedded_at(i);
		const char *last = strrchr(file.path, '/');
		if (strncmp(file.path, root, sizeof root - 1) == 0 && last && strcmp(last + 1, name) == 0) {
			reply_file(rq, file);
			return;
		}
	}
	reply_file(rq, (struct embedded){0});
}
