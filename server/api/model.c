/* model.c - stored model definitions, and their validation without storing. */
#include <stdio.h>
#include <stdlib.h>

#include "api/auth.h"
#include "api/answer.h"
#include "base/jsonmem.h"
#include "api/handlers.h"
#include "spec/spec.h"

static json_t *model_json(const struct model_row *row)
{
	/* Models that were stored before sources were kept had no blocks. */
	const char *source = row->source ? row->source : row->definition;
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "object", "model", "id", row->id, "owner",
		row->owner, "name", row->name, "source", answer_stored(source), "definition",
		answer_stored(row->definition), "summary", answer_stored(row->summary), "created_at",
		answer_time(row->created_at));
}

/* The definition in full and its summary, from the body; false when it has replied with the problems. */
static bool resolve(struct http_request *rq, struct spec_model *model, json_t **ret_definition, json_t **ret_summary)
{
	struct problems problems = {0};
	*ret_definition = *ret_summary = NULL;
	http_query_only(rq, NULL, 0, &problems);
	if (!spec_model_parse(http_json(rq), "", &problems, model)) {
		http_reply_problems(rq, &problems);
		return false;
	}
	struct bp_net *net = spec_model_build(model, "", &problems);
	if (net && !problems_any(&problems)) {
		*ret_definition = spec_model_to_json(model);
		*ret_summary = spec_model_summary(model, net);
	}
	bp_net_free(net);
	if (answer_refused(rq, &problems)) {
		spec_model_done(model);
		return false;
	}
	return true;
}

void api_model_validate(struct http_request *rq)
{
	struct spec_model model;
	json_t *definition, *summary;
	if (!resolve(rq, &model, &definition, &summary))
		return;
	http_reply_json(rq, 200,
		json_pack("{s:s, s:b, s:o, s:o}", "object", "model_validation", "valid", 1, "definition", definition,
			"summary", summary));
	spec_model_done(&model);
}

void api_model_create(struct http_request *rq)
{
	struct spec_model model;
	struct model_row row;
	json_t *definition, *summary;
	if (!resolve(rq, &model, &definition, &summary))
		return;
	char *definition_text = definition ? jsonmem_dumps(definition, JSON_COMPACT) : NULL;
	char *summary_text = summary ? jsonmem_dumps(summary, JSON_COMPACT) : NULL;
	char *source_text = jsonmem_dumps(http_json(rq), JSON_COMPACT);
	enum store_status st = STORE_ERROR;
	if (definition_text && summary_text && source_text && !jsonmem_ran_out())
		st = store_model_add(answer_api(rq)->store,
			&(struct model_new){auth_user(rq), model.name[0] ? model.name : "model", definition_text,
				summary_text, source_text},
			&row);
	if (st == STORE_OK) {
		char location[ID_MAX + 16];
		snprintf(location, sizeof location, "/v1/models/%s", row.id);
		http_reply_header(rq, "Location", location);
		http_reply_json(rq, 201, model_json(&row));
		model_row_done(&row);
	} else {
		answer_store(rq, st, "model", "");
	}
	free(definition_text);
	free(summary_text);
	free(source_text);
	json_decref(definition);
	json_decref(summary);
	spec_model_done(&model);
}

void api_model_list(struct http_request *rq)
{
	struct problems problems = {0};
	struct page page;
	struct model_row *rows = NULL;
	int n = 0;
	http_query_only(rq, (const char *const[]){"limit", "after"}, 2, &problems);
	answer_page(rq, &page, &problems);
	if (answer_refused(rq, &problems))
		return;
	enum store_status st = store_model_list(answer_api(rq)->store, &page, &rows, &n);
	if (st != STORE_OK) {
		answer_store(rq, st, "model", "");
		return;
	}
	json_t *data = json_array();
	for (int i = 0; i < n; i++) {
		if (data && json_array_append_new(data, model_json(&rows[i])) < 0) {
			json_decref(data);
			data = NULL;
		}
		model_row_done(&rows[i]);
	}
	free(rows);
	http_reply_json(rq, 200, answer_list(data, page.has_more));
}

/* The model of the route's {id}; false when it has replied. */
static bool model_find(struct http_request *rq, struct model_row *ret)
{
	enum store_status st = store_model_get(answer_api(rq)->store, http_segment(rq, "id"), ret);
	if (st == STORE_OK && !auth_sees(rq, ret->owner)) {
		model_row_done(ret);
		st = STORE_NOT_FOUND;
	}
	if (st != STORE_OK)
		answer_store(rq, st, "model", "");
	return st == STORE_OK;
}

void api_model_get(struct http_request *rq)
{
	struct model_row row;
	if (answer_query_refused(rq) || !model_find(rq, &row))
		return;
	http_reply_json(rq, 200, model_json(&row));
	model_row_done(&row);
}

void api_model_delete(struct http_request *rq)
{
	struct model_row row;
	if (answer_query_refused(rq) || !model_find(rq, &row))
		return;
	enum store_status st = store_model_delete(answer_api(rq)->store, row.id);
	model_row_done(&row);
	if (st == STORE_OK)
		http_reply_empty(rq, 204);
	else
		answer_store(rq, st, "model", "");
}
