/* fixture_net.c - see fixture_net.h. Used by the tests of whole nets; one thread. */
#include "fixture_net.h"

#include <math.h>
#include <stdlib.h>

#include "spec_text.h"

void fixture_net_text(
	const char *path, const char *name, const char *more, char ret_loss[32], char ret_text[FIXTURE_NET])
{
	char text[FIXTURE_NET / 2], head[64];
	FILE *f = fopen(path, "r");
	ck_assert_msg(f, "%s is missing: run the tests from the project's directory", path);
	size_t size = fread(text, 1, sizeof(text), f);
	fclose(f);
	ck_assert_msg(size < sizeof(text), "%s is too long", path);
	text[size] = 0;
	snprintf(head, sizeof(head), "\nnet %s ", name);
	char *at = strstr(text, head);
	ck_assert_msg(at, "%s has no net %s", path, name);
	ck_assert_int_eq(sscanf(at + strlen(head), "%31s", ret_loss), 1);
	at = strchr(at + 1, '\n') + 1;
	char *end = strstr(at, "\n\n");
	if (end)
		*end = 0;
	for (char *c = at; (c = strchr(c, '\n'));)
		*c = ' ';
	const char *last = strrchr(at, '|');
	snprintf(ret_text, FIXTURE_NET, "%.*s%s%s", (int)(last - at), at, more, last);
}

struct bp_net *fixture_net(const char *path, const char *name, char ret_loss[32])
{
	char text[FIXTURE_NET];
	fixture_net_text(path, name, "", ret_loss, text);
	return net_text(text, 0);
}

void fixture_weights(struct bp_net *net, struct fixture_draw *d, double gain)
{
	bp_net_init(net, 0); /* running statistics */
	for (int t = 0; t < bp_net_tensors(net); t++) {
		struct bp_tensor_info info;
		int64_t size = 1;
		bp_net_tensor_info(net, t, &info);
		for (int i = 0; i < info.ndim; i++)
			size *= info.dim[i];
		if (!info.trainable)
			continue;
		bool norm = info.ndim == 1 && strstr(info.name, ".weight");
		bp_real *values = malloc((size_t)size * sizeof(*values));
		for (int64_t i = 0; i < size; i++) {
			double u = fixture_real(d);
			u = info.ndim > 1 ? u / sqrt((double)(size / info.dim[0])) * gain : norm + u / 10;
			values[i] = (bp_real)u;
		}
		bp_net_tensor_set(net, t, values);
		free(values);
	}
}
