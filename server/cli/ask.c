/* ask.c - see ask.h. The answer is read to the end of the connection, so its framing need not be understood. */
#include "cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/jsonmem.h"

enum { ANSWER_MAX = 4 << 20, PATIENCE_SECONDS = 30 };

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	if (strlen(path) >= sizeof addr.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool send_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* All that comes until the daemon closes, terminated; NULL when that fails. */
static char *receive_all(int fd)
{
	char *bytes = malloc(ANSWER_MAX + 1);
	size_t size = 0;
	ssize_t n = 0;
	while (bytes && size < ANSWER_MAX) {
		n = recv(fd, bytes + size, ANSWER_MAX - size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	if (bytes && n == 0) {
		bytes[size] = '\0';
		return bytes;
	}
	free(bytes);
	return NULL;
}

static char *exchange(int fd, const char *method, const char *target, const char *body)
{
	char head[512];
	int n = snprintf(head, sizeof head,
		"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: application/json\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		method, target, body ? strlen(body) : 0);
	if (n < 0 || (size_t)n >= sizeof head || !send_all(fd, head, (size_t)n) ||
		(body && !send_all(fd, body, strlen(body))))
		return NULL;
	return receive_all(fd);
}

static void print_problems(const json_t *problem, int status)
{
	const json_t *errors = json_object_get(problem, "errors");
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const json_t *e = json_array_get(errors, i);
		const char *param = json_string_value(json_object_get(e, "param"));
		const char *detail = json_string_value(json_object_get(e, "detail"));
		fprintf(stderr, "backpropd: %s%s%s\n", param ? param : "", param && *param ? ": " : "",
			detail ? detail : "refused");
	}
	if (json_array_size(errors) == 0)
		fprintf(stderr, "backpropd: the daemon answered with status %d\n", status);
}

bool ask(const char *socket_path, const char *method, const char *target, const json_t *body, json_t **ret)
{
	int fd = connect_to(socket_path), status = 0;
	*ret = NULL;
	if (fd < 0) {
		fprintf(stderr, "backpropd: no daemon answers at %s: %s\n", socket_path, strerror(errno));
		return false;
	}
	char *text = jsonmem_dumps(body, JSON_COMPACT);
	char *answer = body && !text ? NULL : exchange(fd, method, target, text);
	const char *content = answer ? strstr(answer, "\r\n\r\n") : NULL;
	close(fd);
	free(text);
	if (!content || sscanf(answer, "HTTP/1.1 %3d", &status) != 1) {
		fprintf(stderr, "backpropd: the daemon at %s gave no whole answer\n", socket_path);
		free(answer);
		return false;
	}
	*ret = json_loads(content + 4, 0, NULL);
	free(answer);
	if (status >= 200 && status < 300)
		return true;
	print_problems(*ret, status);
	json_decref(*ret);
	*ret = NULL;
	return false;
}
