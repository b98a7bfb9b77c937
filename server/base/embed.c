/* embed.c - see embed.h. The bytes come from server/embed.S. */
#include "base/embed.h"

#include <string.h>

#define EMBED(symbol, file, type) extern const char embed_##symbol[], embed_##symbol##_end[];
#include "base/embed.def"

/* Sizes are differences of addresses, which only the linker knows: the table is made when it is asked for. */
static const struct entry {
	const char *path, *content_type, *start, *end;
} entries[] = {
#define EMBED(symbol, file, type) {file, type, embed_##symbol, embed_##symbol##_end},
#include "base/embed.def"
};

int embedded_count(void)
{
	return (int)(sizeof entries / sizeof entries[0]);
}

struct embedded embedded_at(int i)
{
	const struct entry *e = &entries[i];
	return (struct embedded){.path = e->path,
		.content_type = e->content_type,
		.data = e->start,
		.size = (size_t)(e->end - e->start)};
}

struct embedded embedded_find(const char *path)
{
	for (int i = 0; i < embedded_count(); i++)
		if (strcmp(entries[i].path, path) == 0)
			return embedded_at(i);
	return (struct embedded){0};
}
