/* config.h - the settings of settings.def as a struct, from file, environment and flags. Main thread, before others
 * start. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdint.h>

#define BACKPROPD_VERSION "0.1.0"

struct config {
#define SETTING_INT(name, def, min, max, help) int64_t name;
#define SETTING_STR(name, def, help) char name[512];
#include "base/settings.def"
};

/*
 * Defaults < file (--config, else /etc/backpropd.conf if it exists; INI, section [backpropd]) < environment < flags.
 * state_dir comes out resolved: never empty; unix_socket too: empty when there is to be none.
 * 0: go on. 1: something was printed that was asked for (--help, --version): exit 0. -1: a bad setting was printed:
 * exit 2.
 */
int config_load(struct config *ret, int argc, char **argv);

/* One setting as it stands, for /v1/system: i counts the lines of settings.def. */
struct config_item {
	const char *name, *help;
	const char *text; /* of a string setting; NULL: it is a number */
	int64_t number;
};
int config_count(void);
struct config_item config_item_at(const struct config *c, int i);

#endif
