/* parts.c - see parts.h. Zip as in PKWARE's APPNOTE 4.3, as far as a reader of streams looks at it. */
#include "fuzz/parts.h"

#include <string.h>

enum { FILE_HEAD = 3, ZIP_HEAD = 30, ZIP_END = 22 };

const char *parts_file_name(uint8_t name)
{
	static const char *const names[PART_NAMES] = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte",
		"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz", "x_train", "y_train", "classes.txt",
		"classes.json"};
	return names[name % PART_NAMES];
}

const char *parts_member_name(uint8_t name)
{
	static const char *const names[PART_NAMES] = {"x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy",
		"classes.txt", "classes.json", "notes/readme", "train_labels.npy"};
	return names[name % PART_NAMES];
}

void parts_of_files(const uint8_t *data, size_t size, struct parts *ret)
{
	*ret = (struct parts){.choice = size ? data[0] : 0};
	for (size_t at = 1; at + FILE_HEAD <= size && ret->n < PARTS_MAX;) {
		size_t length = (size_t)data[at + 1] | (size_t)data[at + 2] << 8, left = size - at - FILE_HEAD;
		length = length < left ? length : left;
		ret->list[ret->n++] = (struct part){data[at], data + at + FILE_HEAD, length};
		at += FILE_HEAD + length;
	}
}

size_t parts_write_files(const struct parts *p, uint8_t *ret, size_t max)
{
	size_t at = 1;
	if (max < 1)
		return 0;
	ret[0] = p->choice;
	for (int i = 0; i < p->n; i++) {
		const struct part *f = &p->list[i];
		if (f->size > 0xffff || max - at < FILE_HEAD + f->size)
			return 0;
		ret[at] = f->name;
		ret[at + 1] = (uint8_t)f->size;
		ret[at + 2] = (uint8_t)(f->size >> 8);
		memcpy(ret + at + FILE_HEAD, f->bytes, f->size);
		at += FILE_HEAD + f->size;
	}
	return at;
}

static uint32_t get(const uint8_t *p, int bytes)
{
	uint32_t v = 0;
	for (int i = bytes; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static void put(uint8_t *p, uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

bool parts_of_zip(const uint8_t *data, size_t size, struct parts *ret)
{
	*ret = (struct parts){.choice = size ? data[0] : 0};
	for (size_t at = 1; size - at >= ZIP_HEAD && ret->n < PARTS_MAX && memcmp(data + at, "PK\3\4", 4) == 0;) {
		const uint8_t *h = data + at;
		size_t length = get(h + 18, 4), skip = ZIP_HEAD + get(h + 26, 2) + get(h + 28, 2), left = size - at;
		if (get(h + 8, 2) != 0 || skip > left || length > left - skip)
			break;
		uint8_t name = 0;
		for (uint8_t i = 0; i < PART_NAMES; i++)
			if (strlen(parts_member_name(i)) == get(h + 26, 2) &&
				memcmp(parts_member_name(i), h + ZIP_HEAD, get(h + 26, 2)) == 0)
				name = i;
		ret->list[ret->n++] = (struct part){name, h + skip, length};
		at += skip + length;
	}
	return ret->n > 0;
}

/* CRC-32 (ISO 3309), four bits at a time. */
static uint32_t crc32(const uint8_t *p, size_t n)
{
	static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4,
		0xa00ae278, 0xbdbdf21c};
	uint32_t crc = ~0u;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

size_t parts_write_zip(const struct parts *p, uint8_t *ret, size_t max)
{
	size_t at = 1;
	if (max < 1)
		return 0;
	ret[0] = p->choice;
	for (int i = 0; i < p->n; i++) {
		const struct part *m = &p->list[i];
		const char *name = parts_member_name(m->name);
		size_t head = ZIP_HEAD + strlen(name);
		if (max - at < head + m->size)
			return 0;
		memset(ret + at, 0, ZIP_HEAD);
		memcpy(ret + at, "PK\3\4\24", 5);
		put(ret + at + 14, crc32(m->bytes, m->size), 4);
		put(ret + at + 18, (uint32_t)m->size, 4);
		put(ret + at + 22, (uint32_t)m->size, 4);
		put(ret + at + 26, (uint32_t)strlen(name), 2);
		memcpy(ret + at + ZIP_HEAD, name, strlen(name));
		memcpy(ret + at + head, m->bytes, m->size);
		at += head + m->size;
	}
	if (max - at < ZIP_END)
		return 0;
	memset(ret + at, 0, ZIP_END);
	memcpy(ret + at, "PK\5\6", 4);
	return at + ZIP_END;
}
