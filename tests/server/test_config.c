/* test_config.c - settings: defaults, the three sources and their order, and what is said of bad ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "runner.h"
#include "scratch.h"

static struct config config;

/* The answer of config_load with up to three flags; what it printed on stderr in *ret_text. */
static int load(const char *a, const char *b, const char *c, const char **ret_text)
{
	char *argv[] = {"backpropd", (char *)a, (char *)b, (char *)c, NULL};
	int argc = 1;
	while (argv[argc])
		argc++;
	capture_begin(2);
	int answer = config_load(&config, argc, argv);
	const char *text = capture_end();
	if (ret_text)
		*ret_text = text;
	return answer;
}

static const char *file_flag(const char *text)
{
	static char flag[512];
	scratch_write("conf", text);
	snprintf(flag, sizeof flag, "--config=%s", scratch_path("conf"));
	return flag;
}

#define ck_said(text, part) ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in: %s", part, text)

START_TEST(without_anything_the_defaults_stand)
{
	unsetenv("STATE_DIRECTORY");
	ck_assert_int_eq(load(file_flag(""), NULL, NULL, NULL), 0);
	ck_assert_int_eq(config.port, 8700);
	ck_assert_int_eq(config.workers, 0);
	ck_assert_str_eq(config.address, "127.0.0.1");
	ck_assert_str_eq(config.log_level, "info");
	ck_assert_str_eq(config.state_dir, "./backpropd-state");
}
END_TEST

START_TEST(systemd_gives_the_state_directory_unless_a_setting_does)
{
	setenv("STATE_DIRECTORY", "/var/lib/backpropd:/var/lib/other", 1);
	ck_assert_int_eq(load(file_flag(""), NULL, NULL, NULL), 0);
	ck_assert_str_eq(config.state_dir, "/var/lib/backpropd");
	ck_assert_int_eq(load(file_flag(""), "--state-dir=/srv/x", NULL, NULL), 0);
	ck_assert_str_eq(config.state_dir, "/srv/x");
}
END_TEST

START_TEST(the_file_is_below_the_environment_is_below_the_flags)
{
	const char *file = file_flag("; a comment\n[backpropd]\nport = 1001\nworkers = 2\nmax_queued = 7\n");
	setenv("BACKPROPD_PORT", "1002", 1);
	setenv("BACKPROPD_WORKERS", "3", 1);
	ck_assert_int_eq(load(file, "--port=1003", NULL, NULL), 0);
	ck_assert_int_eq(config.port, 1003);
	ck_assert_int_eq(config.workers, 3);
	ck_assert_int_eq(config.max_queued, 7);
}
END_TEST

START_TEST(a_flag_takes_its_value_in_both_forms)
{
	ck_assert_int_eq(load("--max-json-kb", "77", "--log-level=debug", NULL), 0);
	ck_assert_int_eq(config.max_json_kb, 77);
	ck_assert_str_eq(config.log_level, "debug");
}
END_TEST

START_TEST(a_value_out_of_bounds_names_source_key_and_bounds)
{
	const char *text;
	ck_assert_int_eq(load("--port=65536", NULL, NULL, &text), -1);
	ck_said(text, "flag --port: port is \"65536\"; it must be a whole number from 0 to 65535");
	setenv("BACKPROPD_WORKERS", "65", 1);
	ck_assert_int_eq(load(NULL, NULL, NULL, &text), -1);
	ck_said(text, "environment BACKPROPD_WORKERS: workers is \"65\"; it must be a whole number from 0 to 64");
	unsetenv("BACKPROPD_WORKERS");
	ck_assert_int_eq(load(file_flag("[backpropd]\nmax_queued = many\n"), NULL, NULL, &text), -1);
	ck_said(text, "conf: max_queued is \"many\"");
}
END_TEST

START_TEST(numbers_are_whole_and_nothing_else)
{
	static const char *const bad[] = {"", " ", "1x", "1.5", "0x10", "99999999999999999999", "-1", "1 2"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char flag[64];
		snprintf(flag, sizeof flag, "--port=%s", bad[i]);
		ck_assert_msg(load(flag, NULL, NULL, NULL) == -1, "%s was taken", flag);
	}
}
END_TEST

START_TEST(an_unknown_name_is_an_error_with_a_suggestion)
{
	const char *text;
	ck_assert_int_eq(load("--wrokers=2", NULL, NULL, &text), -1);
	ck_said(text, "flag --wrokers: there is no setting \"wrokers\"; did you mean \"workers\"?");
	setenv("BACKPROPD_LOGLEVEL", "info", 1);
	ck_assert_int_eq(load(NULL, NULL, NULL, &text), -1);
	ck_said(text, "environment BACKPROPD_LOGLEVEL: there is no setting \"loglevel\"; did you mean \"log_level\"?");
	unsetenv("BACKPROPD_LOGLEVEL");
	ck_assert_int_eq(load(file_flag("[backpropd]\nbanana = 1\n"), NULL, NULL, &text), -1);
	ck_said(text, "there is no setting \"banana\"; --help lists them");
}
END_TEST

START_TEST(every_bad_setting_is_said_at_once)
{
	const char *text;
	ck_assert_int_eq(load("--port=x", "--workers=y", "stray", &text), -1);
	ck_said(text, "--port");
	ck_said(text, "--workers");
	ck_said(text, "\"stray\" is not a flag");
}
END_TEST

START_TEST(a_flag_without_its_value_is_an_error)
{
	const char *text;
	ck_assert_int_eq(load("--port", NULL, NULL, &text), -1);
	ck_said(text, "flag --port: a value is missing");
}
END_TEST

START_TEST(the_file_may_hold_only_our_section_and_each_key_once)
{
	const char *text;
	ck_assert_int_eq(load(file_flag("[other]\nport = 1\n"), NULL, NULL, &text), -1);
	ck_said(text, "section [other]");
	ck_assert_int_eq(load(file_flag("[backpropd]\nport = 1\nport = 2\n"), NULL, NULL, &text), -1);
	ck_said(text, "port is set twice");
	ck_assert_int_eq(load(file_flag("[backpropd]\nport = 1\nnonsense\n"), NULL, NULL, &text), -1);
	ck_said(text, "line 3");
}
END_TEST

START_TEST(a_file_that_was_asked_for_must_exist)
{
	const char *text;
	char flag[512];
	snprintf(flag, sizeof flag, "--config=%s", scratch_path("missing"));
	ck_assert_int_eq(load(flag, NULL, NULL, &text), -1);
	ck_said(text, "No such file");
}
END_TEST

START_TEST(an_address_is_numeric_and_without_tokens_loopback)
{
	static const char *const near[] = {"127.0.0.1", "127.8.9.10", "::1"};
	static const char *const far[] = {"0.0.0.0", "::", "192.168.0.1", "128.0.0.1"};
	static const char *const bad[] = {"localhost", "", "127.0.0.1x"};
	char flag[64];
	const char *text;
	for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
		snprintf(flag, sizeof flag, "--address=%s", near[i]);
		ck_assert_int_eq(load(flag, NULL, NULL, NULL), 0);
		ck_assert_int_eq(load("--auth=none", flag, NULL, NULL), 0);
	}
	for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
		snprintf(flag, sizeof flag, "--address=%s", far[i]);
		ck_assert_int_eq(load(flag, NULL, NULL, NULL), 0);
		ck_assert_msg(load("--auth=none", flag, NULL, &text) == -1, "%s was taken", far[i]);
		ck_said(text, "must be loopback");
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(flag, sizeof flag, "--address=%s", bad[i]);
		ck_assert_msg(load(flag, NULL, NULL, &text) == -1, "%s was taken", bad[i]);
		ck_said(text, "numeric");
	}
	ck_assert_int_eq(load("--auth=maybe", NULL, NULL, &text), -1);
	ck_said(text, "token or none");
}
END_TEST

START_TEST(a_log_level_must_be_one_of_them)
{
	const char *text;
	ck_assert_int_eq(load("--log-level=loud", NULL, NULL, &text), -1);
	ck_said(text, "error, warning, notice, info or debug");
}
END_TEST

START_TEST(a_text_has_a_limit)
{
	static char flag[1024] = "--port-file=";
	memset(flag + strlen(flag), 'p', 512);
	const char *text;
	ck_assert_int_eq(load(flag, NULL, NULL, &text), -1);
	ck_said(text, "port_file is longer than 511 bytes");
	flag[strlen(flag) - 1] = '\0';
	ck_assert_int_eq(load(flag, NULL, NULL, NULL), 0);
	ck_assert_uint_eq(strlen(config.port_file), 511);
}
END_TEST

START_TEST(help_lists_every_setting_and_version_prints_it)
{
	char *help[] = {"backpropd", "--help", NULL};
	capture_begin(1);
	int answer = config_load(&config, 2, help);
	const char *text = capture_end();
	ck_assert_int_eq(answer, 1);
	for (int i = 0; i < config_count(); i++) {
		struct config_item item = config_item_at(&config, i);
		char flag[64] = "--";
		for (size_t k = 0; k <= strlen(item.name); k++)
			flag[2 + k] = item.name[k] == '_' ? '-' : item.name[k];
		ck_said(text, flag);
		ck_said(text, item.help);
	}
	char *version[] = {"backpropd", "--version", NULL};
	capture_begin(1);
	answer = config_load(&config, 2, version);
	text = capture_end();
	ck_assert_int_eq(answer, 1);
	ck_assert_str_eq(text, "backpropd " BACKPROPD_VERSION "\n");
}
END_TEST

START_TEST(settings_can_be_listed_with_their_values)
{
	ck_assert_int_eq(load("--port=5", "--unix-socket=/run/x", NULL, NULL), 0);
	int found = 0;
	for (int i = 0; i < config_count(); i++) {
		struct config_item item = config_item_at(&config, i);
		if (strcmp(item.name, "port") == 0)
			found += item.text == NULL && item.number == 5;
		if (strcmp(item.name, "unix_socket") == 0)
			found += item.text != NULL && strcmp(item.text, "/run/x") == 0;
	}
	ck_assert_int_eq(found, 2);
}
END_TEST

TEST_SUITE(config, 10)
{
	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, without_anything_the_defaults_stand);
	tcase_add_test(tc, systemd_gives_the_state_directory_unless_a_setting_does);
	tcase_add_test(tc, the_file_is_below_the_environment_is_below_the_flags);
	tcase_add_test(tc, a_flag_takes_its_value_in_both_forms);
	tcase_add_test(tc, a_value_out_of_bounds_names_source_key_and_bounds);
	tcase_add_test(tc, numbers_are_whole_and_nothing_else);
	tcase_add_test(tc, an_unknown_name_is_an_error_with_a_suggestion);
	tcase_add_test(tc, every_bad_setting_is_said_at_once);
	tcase_add_test(tc, a_flag_without_its_value_is_an_error);
	tcase_add_test(tc, the_file_may_hold_only_our_section_and_each_key_once);
	tcase_add_test(tc, a_file_that_was_asked_for_must_exist);
	tcase_add_test(tc, an_address_is_numeric_and_without_tokens_loopback);
	tcase_add_test(tc, a_log_level_must_be_one_of_them);
	tcase_add_test(tc, a_text_has_a_limit);
	tcase_add_test(tc, help_lists_every_setting_and_version_prints_it);
	tcase_add_test(tc, settings_can_be_listed_with_their_values);
}
