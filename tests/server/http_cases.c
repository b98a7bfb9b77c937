/* http_cases.c - the table of http_cases.def. */
#include "server/http_cases.h"

#define RAW(what, bytes, status, end) {what, bytes, sizeof(bytes) - 1, status, end},
#define HOST "Host: localhost\r\n"
#define GET(more) "GET /v1/things HTTP/1.1\r\n" HOST more "\r\n"
#define POST(more) "POST /v1/things HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n" more
#define CHUNKS(bytes) POST("Transfer-Encoding: chunked\r\n\r\n" bytes)
#define TARGET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define QUERY(text) TARGET("/v1/things?" text)
#define LINE(line) line "\r\n" HOST "\r\n"
#define HIDDEN "GET /v1/things/hidden HTTP/1.1\r\n" HOST "\r\n"
#define NAMED(host) "GET /v1/things HTTP/1.1\r\nHost: " host "\r\n\r\n"

const struct raw_case raw_cases[] = {
#include "server/http_cases.def"
};
const int raw_ncases = sizeof(raw_cases) / sizeof(raw_cases[0]);
