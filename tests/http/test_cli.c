/* test_cli.c - "backpropd token" as an administrator types it, against the running daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "http/daemon.h"
#include "http/talk.h"
#include "runner.h"

static struct daemon d;

static void start_it(void)
{
	daemon_start(&d, (const char *const[]){"--auth=token", NULL});
}

static void stop_it(void)
{
	daemon_done(&d);
}

/* Runs the command on the daemon's state directory; what it printed (both ways) in out. Returns its exit status. */
static int run(const char *words, char *out, size_t size)
{
	char command[512];
	const char *program = getenv("BACKPROPD");
	snprintf(command, sizeof command, "%s token %s --state-dir=%s/state 2>&1",
		program ? program : "build/backpropd", words, d.dir);
	FILE *f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	size_t n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	int status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int status_with(const char *token)
{
	char header[160];
	snprintf(header, sizeof header, "Authorization: Bearer %.80s\r\n", token);
	struct response r = request_do(d.port, "GET", "/v1/jobs", header, NULL, 0);
	int status = r.status;
	response_free(&r);
	return status;
}

START_TEST(a_token_is_made_listed_and_revoked)
{
	char out[4096], token[64], id[64], words[128];
	ck_assert_int_eq(run("create --user=ann --name='her laptop' --scope=write", out, sizeof out), 0);
	ck_assert_int_eq(sscanf(out, "%63[a-z0-9_]\n%63s", token, id), 2);
	ck_assert_int_eq(status_with(token), 200);
	ck_assert_int_eq(run("list", out, sizeof out), 0);
	ck_assert_ptr_nonnull(strstr(out, id));
	ck_assert_ptr_nonnull(strstr(out, "her laptop"));
	ck_assert_ptr_null(strstr(out, token));
	snprintf(words, sizeof words, "revoke %s", id);
	ck_assert_int_eq(run(words, out, sizeof out), 0);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(status_with(token), 401);
}
END_TEST

START_TEST(mistakes_are_explained)
{
	char out[4096];
	ck_assert_int_eq(run("", out, sizeof out), 2);
	ck_assert_ptr_nonnull(strstr(out, "usage: backpropd token create"));
	ck_assert_int_eq(run("create --user=ann", out, sizeof out), 2);
	ck_assert_int_eq(run("create --user=ann --name=x --scop=write", out, sizeof out), 2);
	ck_assert_ptr_nonnull(strstr(out, "there is no setting \"scop\""));
	ck_assert_int_eq(run("create --user='a b' --name=x", out, sizeof out), 1);
	ck_assert_ptr_nonnull(strstr(out, "/user: A user's name has"));
	ck_assert_int_eq(run("create --user=ann --name=x --expires-in-seconds=soon", out, sizeof out), 1);
	ck_assert_int_eq(run("revoke tok_none", out, sizeof out), 1);
	ck_assert_ptr_nonnull(strstr(out, "no such token"));
	daemon_stop(&d);
	ck_assert_int_eq(run("list", out, sizeof out), 1);
	ck_assert_ptr_nonnull(strstr(out, "no daemon answers at"));
}
END_TEST

TEST_SUITE(cli, 30)
{
	tcase_add_checked_fixture(tc, start_it, stop_it);
	tcase_add_test(tc, a_token_is_made_listed_and_revoked);
	tcase_add_test(tc, mistakes_are_explained);
}
