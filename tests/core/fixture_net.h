/*
 * fixture_net.h - nets that tests share with the generators of fixtures: their definitions in a file, their weights
 * from the generator that both sides have.
 */
#ifndef TESTS_FIXTURE_NET_H
#define TESTS_FIXTURE_NET_H

#include "backprop.h"
#include "fixture.h"

/* The net called name in a file like tests/fixtures/nets.txt; ret_loss is the loss's name. Fails the test when there is
 * none. */
struct bp_net *fixture_net(const char *path, const char *name, char ret_loss[32]);
/* Its text, with `more` put in before its last layer; ret_text holds FIXTURE_NET bytes. */
enum { FIXTURE_NET = 16384 };
void fixture_net_text(
	const char *path, const char *name, const char *more, char ret_loss[32], char ret_text[FIXTURE_NET]);
/* As draw_weights in make_nets.py; running statistics as at a start. */
void fixture_weights(struct bp_net *net, struct fixture_draw *d, double gain);

#endif
