/* merge.c - a JSON merge patch (RFC 7396). Called by api, any thread. Depth is bounded by who parsed the patch. */
#include "spec/spec.h"

json_t *spec_merge(const json_t *target, const json_t *patch)
{
	const char *name = NULL;
	json_t *value = NULL;
	if (!json_is_object(patch))
		return json_deep_copy(patch);
	json_t *ret = json_is_object(target) ? json_deep_copy(target) : json_object();
	/* The macro needs a mutable object for its iterator; nothing is changed. */
	json_object_foreach((json_t *)patch, name, value)
	{
		if (json_is_null(value))
			json_object_del(ret, name);
		else if (json_object_set_new(ret, name, spec_merge(json_object_get(ret, name), value)) != 0) {
			json_decref(ret);
			return NULL;
		}
	}
	return ret;
}
