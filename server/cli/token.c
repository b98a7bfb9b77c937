/* token.c - "backpropd token": makes, lists and revokes API tokens. See cli.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/config.h"
#include "cli/ask.h"
#include "cli/cli.h"

enum { ARGS_MAX = 64, EXIT_USAGE = 2 };

#define SERVICE_SOCKET "/run/backpropd/socket"

/* The words after "token"; what is no flag of ours is a setting of the daemon (--state-dir, --unix-socket, --config).
 */
struct words {
	const char *verb, *id;
	const char *user, *name, *scope, *life;
	char *settings[ARGS_MAX];
	int nsettings;
};

static const char *value_of(const char *word, const char *flag)
{
	size_t n = strlen(flag);
	return strncmp(word, flag, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static bool words_read(struct words *w, int argc, char **argv)
{
	*w = (struct words){.settings = {argv[0]}, .nsettings = 1};
	if (argc < 3 || argc > ARGS_MAX)
		return false;
	w->verb = argv[2];
	for (int i = 3; i < argc; i++) {
		const char *value;
		if ((value = value_of(argv[i], "--user")))
			w->user = value;
		else if ((value = value_of(argv[i], "--name")))
			w->name = value;
		else if ((value = value_of(argv[i], "--scope")))
			w->scope = value;
		else if ((value = value_of(argv[i], "--expires-in-seconds")))
			w->life = value;
		else if (argv[i][0] == '-')
			w->settings[w->nsettings++] = argv[i];
		else if (!w->id)
			w->id = argv[i];
		else
			return false;
	}
	return true;
}

static int print_usage(void)
{
	fprintf(stderr, "usage: backpropd token create --user=USER --name=TEXT [--scope=read|write|admin] "
			"[--expires-in-seconds=N] [SETTINGS]\n"
			"       backpropd token list [SETTINGS]\n"
			"       backpropd token revoke ID [SETTINGS]\n"
			"The running daemon is asked over its Unix socket (--unix-socket=PATH or --state-dir=DIR says "
			"which).\n");
	return EXIT_USAGE;
}

/* The daemon's socket by the settings; where there is none, the service's. */
static const char *socket_of(const struct config *c)
{
	return access(c->unix_socket, F_OK) != 0 && access(SERVICE_SOCKET, F_OK) == 0 ? SERVICE_SOCKET : c->unix_socket;
}

static bool create_token(const char *socket_path, const struct words *w)
{
	json_t *answer = NULL;
	json_t *body =
		json_pack("{s:s, s:s, s:s}", "user", w->user, "name", w->name, "scope", w->scope ? w->scope : "read");
	if (body && w->life)
		json_object_set_new(body, "expires_in_seconds", json_integer(strtoll(w->life, NULL, 10)));
	bool ok = body && ask(socket_path, "POST", "/v1/tokens", body, &answer);
	const char *text = json_string_value(json_object_get(answer, "token"));
	const char *id = json_string_value(json_object_get(answer, "id"));
	if (ok && text && id) {
		printf("%s\n", text);
		fflush(stdout);
		fprintf(stderr, "%s of %s; the token is not shown again\n", id, w->user);
	}
	json_decref(answer);
	json_decref(body);
	return ok && text;
}

static const char *when(const json_t *time_, char ret[32])
{
	time_t t = (time_t)json_number_value(time_);
	struct tm tm;
	if (!json_is_number(time_) || !gmtime_r(&t, &tm) || strftime(ret, 32, "%Y-%m-%d %H:%M", &tm) == 0)
		return "-";
	return ret;
}

static const char *text_of(const json_t *token, const char *member)
{
	const char *text = json_string_value(json_object_get(token, member));
	return text ? text : "-";
}

/* Page by page, newest first. */
static bool list_tokens(const char *socket_path)
{
	char target[128] = "/v1/tokens?limit=1000";
	printf("%-30s  %-16s  %-5s  %-16s  %-16s  %-16s  %s\n", "id", "user", "scope", "expires", "revoked",
		"last used", "name");
	for (bool more = true; more;) {
		json_t *answer = NULL;
		if (!ask(socket_path, "GET", target, NULL, &answer))
			return false;
		const json_t *data = json_object_get(answer, "data");
		size_t n = json_array_size(data);
		for (size_t i = 0; i < n; i++) {
			const json_t *t = json_array_get(data, i);
			char expires[32], revoked[32], used[32];
			printf("%-30s  %-16s  %-5s  %-16s  %-16s  %-16s  %s\n", text_of(t, "id"), text_of(t, "user"),
				text_of(t, "scope"), when(json_object_get(t, "expires_at"), expires),
				when(json_object_get(t, "revoked_at"), revoked),
				when(json_object_get(t, "last_used_at"), used), text_of(t, "name"));
		}
		more = n > 0 && json_is_true(json_object_get(answer, "has_more"));
		if (more)
			snprintf(target, sizeof target, "/v1/tokens?limit=1000&after=%s",
				text_of(json_array_get(data, n - 1), "id"));
		json_decref(answer);
	}
	return true;
}

static bool revoke_token(const char *socket_path, const char *id)
{
	char target[128];
	json_t *answer = NULL;
	snprintf(target, sizeof target, "/v1/tokens/%.64s", id);
	return ask(socket_path, "DELETE", target, NULL, &answer);
}

int cli_token(int argc, char **argv)
{
	struct words w;
	struct config config;
	if (!words_read(&w, argc, argv))
		return print_usage();
	bool creates = strcmp(w.verb, "create") == 0 && w.user && w.name && !w.id;
	bool lists = strcmp(w.verb, "list") == 0 && !w.id;
	bool revokes = strcmp(w.verb, "revoke") == 0 && w.id;
	if (!creates && !lists && !revokes)
		return print_usage();
	if (config_load(&config, w.nsettings, w.settings) != 0)
		return EXIT_USAGE;
	const char *socket_path = socket_of(&config);
	bool ok = creates ? create_token(socket_path, &w)
		  : lists ? list_tokens(socket_path)
			  : revoke_token(socket_path, w.id);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
