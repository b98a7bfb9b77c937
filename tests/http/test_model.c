/* test_model.c - stored models and their validation over HTTP. */
#include <stdio.h>
#include <stdlib.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

START_TEST(a_model_is_stored_shown_listed_and_deleted)
{
	struct daemon d;
	char target[128];
	daemon_start(&d, NULL);
	struct response r = request_json(d.port, "POST", "/v1/models", sample_model());
	ck_assert_int_eq(r.status, 201);
	snprintf(target, sizeof target, "%s", response_header(&r, "Location"));
	response_free(&r);
	json_t *model = talk_get(d.port, target);
	ck_assert_str_eq(talk_text(model, "name"), "quarters");
	ck_assert_str_eq(talk_text(model, "definition.layers.1.type"), "ReLU");
	ck_assert_str_eq(
		talk_text(model, "definition.layers.5.inputs.0"), talk_text(model, "definition.layers.4.name"));
	json_t *list = talk_get(d.port, "/v1/models");
	ck_assert_str_eq(talk_text(list, "data.0.id"), talk_text(model, "id"));
	json_decref(list);
	json_decref(model);
	talk(d.port, "DELETE", target, NULL, 204);
	talk_refused(d.port, "GET", target, NULL, 404, "not_found", "");
	talk_refused(d.port, "DELETE", target, NULL, 404, "not_found", "");
	daemon_done(&d);
}
END_TEST

START_TEST(a_model_with_blocks_shows_what_was_sent_and_what_it_amounts_to)
{
	struct daemon d;
	daemon_start(&d, NULL);
	json_t *model = talk(d.port, "POST", "/v1/models",
		"{\"input\":{\"shape\":[4]},\"layers\":[{\"name\":\"b\",\"type\":\"Repeat\",\"n\":2,\"body\":["
		"{\"type\":\"Residual\",\"body\":[{\"type\":\"Linear\",\"out_features\":4},{\"type\":\"Tanh\"}]}]}]}",
		201);
	ck_assert_uint_eq(json_array_size(talk_at(model, "source.layers")), 1);
	ck_assert_int_eq(talk_int(model, "source.layers.0.n"), 2);
	ck_assert_uint_eq(json_array_size(talk_at(model, "definition.layers")), 6);
	ck_assert_str_eq(talk_text(model, "definition.layers.3.name"), "b.1.residual_1.linear_1");
	ck_assert_str_eq(talk_text(model, "summary.layers.5.name"), "b.1.residual_1");
	json_decref(model);
	talk_refused(d.port, "POST", "/v1/models/validate",
		"{\"input\":{\"shape\":[4]},\"layers\":[{\"type\":\"Repeat\",\"n\":9,\"body\":["
		"{\"type\":\"Linear\",\"out_features\":0}]}]}",
		400, "out_of_range", "/layers/0/body/0/out_features");
	daemon_done(&d);
}
END_TEST

START_TEST(validation_tells_shapes_parameters_and_flops_and_stores_nothing)
{
	struct daemon d;
	daemon_start(&d, NULL);
	json_t *v = talk(d.port, "POST", "/v1/models/validate", sample_model(), 200);
	ck_assert(json_is_true(talk_at(v, "valid")));
	/* conv: 4 x (1 x 3 x 3) + 4; fc: 4 x (4 x 4 x 4) + 4 */
	ck_assert_int_eq(talk_int(v, "summary.parameters"), 40 + 260);
	ck_assert_int_eq(talk_int(v, "summary.layers.2.output_shape.0"), 4);
	ck_assert_int_eq(talk_int(v, "summary.layers.2.output_shape.1"), 4);
	ck_assert_int_eq(talk_int(v, "summary.output_shape.0"), SAMPLE_CLASSES);
	ck_assert_int_gt(talk_int(v, "summary.flops"), 0);
	json_decref(v);
	json_t *list = talk_get(d.port, "/v1/models");
	ck_assert_uint_eq(json_array_size(talk_at(list, "data")), 0);
	json_decref(list);
	daemon_done(&d);
}
END_TEST

START_TEST(a_job_names_a_stored_model_and_outlives_it)
{
	struct daemon d;
	char target[128], id[64], *body = NULL;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 128, 0);
	json_t *model = talk(d.port, "POST", "/v1/models", sample_model(), 201);
	ck_assert_int_gt(asprintf(&body, "{\"dataset\":\"quarters\",\"model\":\"%s\",\"training\":{\"epochs\":1}}",
				 talk_text(model, "id")),
		0);
	json_t *job = talk(d.port, "POST", "/v1/jobs", body, 201);
	snprintf(id, sizeof id, "%s", talk_text(job, "id"));
	ck_assert_str_eq(talk_text(job, "model.layers.0.name"), "conv");
	snprintf(target, sizeof target, "/v1/models/%s", talk_text(model, "id"));
	talk(d.port, "DELETE", target, NULL, 204);
	json_decref(sample_wait(d.port, id, "succeeded"));
	talk_refused(d.port, "POST", "/v1/jobs", body, 400, "unknown_name", "/model");
	json_decref(job);
	json_decref(model);
	free(body);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(model, 60)
{
	tcase_add_test(tc, a_model_is_stored_shown_listed_and_deleted);
	tcase_add_test(tc, a_model_with_blocks_shows_what_was_sent_and_what_it_amounts_to);
	tcase_add_test(tc, validation_tells_shapes_parameters_and_flops_and_stores_nothing);
	tcase_add_test(tc, a_job_names_a_stored_model_and_outlives_it);
}
