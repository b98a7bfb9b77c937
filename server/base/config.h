/* config.h - the settings of settings.def as a struct, from file, environment and flags. Main thread, before others start. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdint.h>

struct config {
#define SETTING_INT(name, def, min, max, help) int64_t name;
#define SETTING_STR(name, def, help) char name[512];
#include "base/settings.def"
};

/* 0: go on. 1: something was printed that was asked for (--help, --version): exit 0. -1: a bad setting was printed: exit 2. */
int config_load(struct config *ret, int argc, char **argv);

#endif
