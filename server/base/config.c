/* config.c - see config.h. Every source goes through set_value, which knows the bounds and says what is wrong. */
#include "base/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/problem.h"

extern char **environ;

#define DEFAULT_FILE "/etc/backpropd.conf"
#define ENV_PREFIX "BACKPROPD_"

struct setting {
	const char *name, *help, *def_text; /* def_text NULL: a number */
	size_t offset;
	int64_t def, min, max;
};

static const struct setting settings[] = {
#define SETTING_INT(id, d, lo, hi, h)                                                                                  \
	{.name = #id, .help = h, .offset = offsetof(struct config, id), .def = d, .min = lo, .max = hi},
#define SETTING_STR(id, d, h) {.name = #id, .help = h, .def_text = d, .offset = offsetof(struct config, id)},
#include "base/settings.def"
};

enum { NSETTINGS = sizeof settings / sizeof settings[0], TEXT_SIZE = sizeof((struct config *)NULL)->state_dir };

struct loader {
	struct config *config;
	const char *file;
	bool seen[NSETTINGS]; /* in the file */
	bool failed;
};

static int64_t *number_of(const struct config *c, const struct setting *s)
{
	return (int64_t *)(void *)((char *)(uintptr_t)c + s->offset);
}

static char *text_of(const struct config *c, const struct setting *s)
{
	return (char *)(uintptr_t)c + s->offset;
}

static void complain(struct loader *l, const char *source, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void complain(struct loader *l, const char *source, const char *fmt, ...)
{
	char what[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	fprintf(stderr, "backpropd: %s: %s\n", source, what);
	l->failed = true;
}

static int setting_find(const char *name)
{
	for (int i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			return i;
	return -1;
}

/* "did you mean", in the spelling of the source: dashes for flags. */
static void complain_unknown(struct loader *l, const char *source, const char *name)
{
	const char *names[NSETTINGS];
	for (int i = 0; i < NSETTINGS; i++)
		names[i] = settings[i].name;
	const char *near = nearest_word(name, names, NSETTINGS);
	if (near)
		complain(l, source, "there is no setting \"%.100s\"; did you mean \"%s\"?", name, near);
	else
		complain(l, source, "there is no setting \"%.100s\"; --help lists them", name);
}

static bool is_numeric(const char *text)
{
	struct in6_addr room;
	return inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1;
}

static bool is_loopback(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void check_text(struct loader *l, const char *source, const char *name, const char *value)
{
	if (strcmp(name, "address") == 0 && !is_numeric(value))
		complain(l, source, "address is \"%.100s\"; it must be a numeric IPv4 or IPv6 address", value);
	if (strcmp(name, "auth") == 0 && strcmp(value, "token") != 0 && strcmp(value, "none") != 0)
		complain(l, source, "auth is \"%.100s\"; it must be token or none", value);
	if (strcmp(name, "log_level") == 0 && log_level_find(value) < 0)
		complain(l, source, "log_level is \"%.100s\"; it must be error, warning, notice, info or debug", value);
}

static void set_value(struct loader *l, const char *source, int i, const char *value)
{
	const struct setting *s = &settings[i];
	if (s->def_text) {
		if (strlen(value) >= TEXT_SIZE) {
			complain(l, source, "%s is longer than %d bytes", s->name, TEXT_SIZE - 1);
			return;
		}
		check_text(l, source, s->name, value);
		snprintf(text_of(l->config, s), TEXT_SIZE, "%s", value);
		return;
	}
	char *end = NULL;
	errno = 0;
	long long number = strtoll(value, &end, 10);
	if (end == value || *end || errno || number < s->min || number > s->max)
		complain(l, source, "%s is \"%.100s\"; it must be a whole number from %lld to %lld", s->name, value,
			(long long)s->min, (long long)s->max);
	else
		*number_of(l->config, s) = number;
}

static void set_defaults(struct config *c)
{
	memset(c, 0, sizeof *c);
	for (int i = 0; i < NSETTINGS; i++)
		if (settings[i].def_text)
			snprintf(text_of(c, &settings[i]), TEXT_SIZE, "%s", settings[i].def_text);
		else
			*number_of(c, &settings[i]) = settings[i].def;
}

/* inih's handler; 1 = go on. An indented line arrives as the key before it once more: the second value is refused. */
static int take_ini(void *user, const char *section, const char *name, const char *value)
{
	struct loader *l = user;
	if (strcmp(section, "backpropd") != 0) {
		complain(l, l->file, "\"%.100s\" is in section [%.100s]; settings belong into [backpropd]", name,
			section);
		return 1;
	}
	int i = setting_find(name);
	if (i < 0) {
		complain_unknown(l, l->file, name);
	} else if (l->seen[i]) {
		complain(l, l->file, "%s is set twice, or its value goes over two lines", name);
	} else {
		l->seen[i] = true;
		set_value(l, l->file, i, value);
	}
	return 1;
}

static void load_file(struct loader *l, const char *flag)
{
	l->file = flag ? flag : DEFAULT_FILE;
	FILE *f = fopen(l->file, "re");
	if (!f) {
		if (flag || errno != ENOENT)
			complain(l, l->file, "%s", strerror(errno));
		return;
	}
	int line = ini_parse_file(f, take_ini, l);
	if (line > 0)
		complain(l, l->file, "line %d is not \"key = value\", or too long", line);
	else if (line < 0)
		complain(l, l->file, "it cannot be read");
	fclose(f);
}

static void load_environment(struct loader *l)
{
	const size_t prefix = strlen(ENV_PREFIX);
	for (char **e = environ; *e; e++) {
		const char *equals = strchr(*e, '=');
		if (strncmp(*e, ENV_PREFIX, prefix) != 0 || !equals)
			continue;
		char name[128] = "", source[160];
		size_t length = (size_t)(equals - *e) - prefix;
		snprintf(name, sizeof name, "%.*s", length < 100 ? (int)length : 100, *e + prefix);
		snprintf(source, sizeof source, "environment " ENV_PREFIX "%s", name);
		for (char *p = name; *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
		int i = setting_find(name);
		if (i < 0)
			complain_unknown(l, source, name);
		else
			set_value(l, source, i, equals + 1);
	}
}

struct flag {
	char name[128];    /* with underscores */
	const char *value; /* NULL: none */
};

/* Reads the flag at argv[*i], in either form, and moves *i past it. False: not a flag. */
static bool next_flag(struct loader *l, int argc, char **argv, int *i, struct flag *ret)
{
	const char *arg = argv[(*i)++];
	*ret = (struct flag){.value = NULL};
	if (strncmp(arg, "--", 2) != 0 || !arg[2]) {
		complain(l, "command line", "\"%.100s\" is not a flag; flags are --name=value", arg);
		return false;
	}
	const char *equals = strchr(arg, '=');
	snprintf(ret->name, sizeof ret->name, "%.*s", equals ? (int)(equals - arg - 2) : (int)strlen(arg + 2), arg + 2);
	for (char *p = ret->name; *p; p++)
		if (*p == '-')
			*p = '_';
	if (equals)
		ret->value = equals + 1;
	else if (*i < argc && setting_find(ret->name) >= 0)
		ret->value = argv[(*i)++];
	else if (*i < argc && strcmp(ret->name, "config") == 0)
		ret->value = argv[(*i)++];
	return true;
}

static void load_flags(struct loader *l, int argc, char **argv)
{
	struct flag flag;
	for (int i = 1; i < argc;) {
		if (!next_flag(l, argc, argv, &i, &flag))
			continue;
		bool is_config = strcmp(flag.name, "config") == 0;
		int n = setting_find(flag.name);
		char source[160];
		snprintf(source, sizeof source, "flag --%s", flag.name);
		if (n < 0 && !is_config)
			complain_unknown(l, source, flag.name);
		else if (!flag.value)
			complain(l, source, "a value is missing");
		else if (n >= 0)
			set_value(l, source, n, flag.value);
	}
}

/* Flags that must be known before the others are read. */
static const char *config_flag(int argc, char **argv)
{
	struct loader quiet = {0};
	const char *path = NULL;
	struct flag flag;
	for (int i = 1; i < argc;) {
		if (strncmp(argv[i], "--", 2) != 0) {
			i++;
			continue;
		}
		if (argv[i][2] && next_flag(&quiet, argc, argv, &i, &flag)) {
			if (strcmp(flag.name, "config") == 0)
				path = flag.value;
		} else {
			i++;
		}
	}
	return path;
}

static void print_help(void)
{
	printf("backpropd %s - trains neural networks that are sent to it over HTTP\n\n"
	       "usage: backpropd [--config FILE] [--NAME=VALUE ...]\n"
	       "       backpropd token create|list|revoke ...   makes, lists and revokes API tokens\n\n"
	       "Each setting may stand in the file (%s; section [backpropd], NAME = VALUE), in the\n"
	       "environment (" ENV_PREFIX "NAME) and on the command line; the later of these wins.\n\n",
		BACKPROPD_VERSION, DEFAULT_FILE);
	for (int i = 0; i < NSETTINGS; i++) {
		const struct setting *s = &settings[i];
		char name[64];
		snprintf(name, sizeof name, "%s", s->name);
		for (char *p = name; *p; p++)
			if (*p == '_')
				*p = '-';
		if (s->def_text)
			printf("  --%-18s %s (default %s)\n", name, s->help, *s->def_text ? s->def_text : "empty");
		else
			printf("  --%-18s %s (%lld to %lld, default %lld)\n", name, s->help, (long long)s->min,
				(long long)s->max, (long long)s->def);
	}
	printf("  --%-18s read settings from this file\n  --%-18s print this\n  --%-18s print the version\n", "config",
		"help", "version");
}

static void resolve_state_dir(struct loader *l)
{
	struct config *c = l->config;
	if (*c->state_dir)
		return;
	const char *given = getenv("STATE_DIRECTORY"); /* systemd: several are separated by colons */
	if (!given || !*given)
		given = "./backpropd-state";
	size_t length = strcspn(given, ":");
	if (length >= sizeof c->state_dir)
		complain(l, "environment STATE_DIRECTORY", "it is longer than %zu bytes", sizeof c->state_dir - 1);
	else
		snprintf(c->state_dir, sizeof c->state_dir, "%.*s", (int)length, given);
}

/* "none" becomes empty; a path that is not given is made up, unless it would be longer than a socket's can be. */
static void resolve_unix_socket(struct config *c)
{
	enum { SOCKET_PATH_MAX = 107 };
	const char *run = getenv("RUNTIME_DIRECTORY"); /* systemd: several are separated by colons */
	const char *dir = run && *run ? run : c->state_dir;
	size_t length = run && *run ? strcspn(run, ":") : strlen(dir);
	if (strcmp(c->unix_socket, "none") == 0)
		c->unix_socket[0] = '\0';
	else if (!*c->unix_socket && length + strlen("/socket") <= SOCKET_PATH_MAX)
		snprintf(c->unix_socket, sizeof c->unix_socket, "%.*s/socket", (int)length, dir);
}

/* Without tokens anyone who reaches the port may train, read and delete. */
static void check_reach(struct loader *l)
{
	const struct config *c = l->config;
	if (strcmp(c->auth, "none") == 0 && !is_loopback(c->address))
		complain(l, "settings", "with auth=none the address must be loopback (127.0.0.0/8 or ::1), not %.100s",
			c->address);
}

int config_load(struct config *ret, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help();
			return 1;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("backpropd %s\n", BACKPROPD_VERSION);
			return 1;
		}
	}
	struct loader l = {.config = ret};
	set_defaults(ret);
	load_file(&l, config_flag(argc, argv));
	load_environment(&l);
	load_flags(&l, argc, argv);
	resolve_state_dir(&l);
	resolve_unix_socket(ret);
	check_reach(&l);
	return l.failed ? -1 : 0;
}

int config_count(void)
{
	return NSETTINGS;
}

struct config_item config_item_at(const struct config *c, int i)
{
	const struct setting *s = &settings[i];
	return (struct config_item){.name = s->name,
		.help = s->help,
		.text = s->def_text ? text_of(c, s) : NULL,
		.number = s->def_text ? 0 : *number_of(c, s)};
}
