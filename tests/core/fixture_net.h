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
/* As draw_weights in make_nets.py; running statistics as at a start. */
void fixture_weights(struct bp_net *net, struct fixture_draw *d, double gain);

#endif
