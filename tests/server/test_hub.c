/* test_hub.c - the hub: no ring is lost, nobody is woken twice, closing wakes all. Run it under SAN=thread too. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "hub/hub.h"
#include "runner.h"

struct sleeper {
	struct hub_waiter waiter; /* first: the waiter is the sleeper */
	int woken, fell_asleep;
};

static void wake(struct hub_waiter *w)
{
	((struct sleeper *)w)->woken++;
}
static void asleep(struct hub_waiter *w)
{
	((struct sleeper *)w)->fell_asleep++;
}

START_TEST(a_ring_wakes_each_sleeper_of_its_topic_once)
{
	struct hub *h = hub_new();
	struct sleeper a = {.waiter.wake = wake}, b = {.waiter.wake = wake}, other = {.waiter.wake = wake};
	ck_assert(hub_register(h, "job_1", hub_seq(h, "job_1"), &a.waiter, asleep));
	ck_assert(hub_register(h, "job_1", hub_seq(h, "job_1"), &b.waiter, NULL));
	ck_assert(hub_register(h, "job_2", hub_seq(h, "job_2"), &other.waiter, asleep));
	ck_assert_int_eq(a.fell_asleep, 1);
	hub_ring(h, "job_1");
	hub_ring(h, "job_1");
	ck_assert_int_eq(a.woken, 1);
	ck_assert_int_eq(b.woken, 1);
	ck_assert_int_eq(other.woken, 0);
	hub_close(h);
	ck_assert_int_eq(other.woken, 1);
	hub_free(h);
}
END_TEST

START_TEST(who_looked_before_the_ring_does_not_fall_asleep)
{
	struct hub *h = hub_new();
	struct sleeper a = {.waiter.wake = wake};
	uint64_t seen = hub_seq(h, HUB_JOBS);
	hub_ring(h, HUB_JOBS);
	ck_assert(!hub_register(h, HUB_JOBS, seen, &a.waiter, asleep));
	ck_assert_int_eq(a.fell_asleep, 0);
	ck_assert_int_eq(a.woken, 0);
	ck_assert(hub_wait(h, HUB_JOBS, seen, -1));
	hub_free(h);
}
END_TEST

START_TEST(a_cancelled_sleeper_is_woken_once_and_can_sleep_again)
{
	struct hub *h = hub_new();
	struct sleeper list[3] = {{.waiter.wake = wake}, {.waiter.wake = wake}, {.waiter.wake = wake}};
	for (int i = 0; i < 3; i++)
		ck_assert(hub_register(h, "t", hub_seq(h, "t"), &list[i].waiter, asleep));
	hub_cancel(h, &list[1].waiter);
	hub_cancel(h, &list[1].waiter);
	ck_assert_int_eq(list[1].woken, 1);
	ck_assert_int_eq(list[0].woken + list[2].woken, 0);
	ck_assert(hub_register(h, "t", hub_seq(h, "t"), &list[1].waiter, asleep));
	hub_ring(h, "t");
	ck_assert_int_eq(list[0].woken, 1);
	ck_assert_int_eq(list[1].woken, 2);
	ck_assert_int_eq(list[2].woken, 1);
	hub_free(h);
}
END_TEST

START_TEST(a_wait_ends_by_itself_when_nothing_moves)
{
	struct hub *h = hub_new();
	ck_assert(!hub_wait(h, "t", hub_seq(h, "t"), 0));
	ck_assert(!hub_wait(h, "t", hub_seq(h, "t"), 5));
	hub_free(h);
}
END_TEST

START_TEST(nobody_sleeps_at_a_closed_hub)
{
	struct hub *h = hub_new();
	struct sleeper a = {.waiter.wake = wake};
	ck_assert(!hub_closed(h));
	hub_close(h);
	ck_assert(hub_closed(h));
	ck_assert(!hub_register(h, "t", hub_seq(h, "t"), &a.waiter, asleep));
	ck_assert(!hub_wait(h, "t", hub_seq(h, "t"), -1));
	hub_free(h);
}
END_TEST

/* A counter that producers raise and consumers wait for: a lost ring would leave a consumer asleep for good. */
enum { PRODUCERS = 3, CONSUMERS = 3, RINGS = 3000 };
struct shared {
	struct hub *hub;
	atomic_int value;
};

static void *produce(void *arg)
{
	struct shared *sh = arg;
	for (int i = 0; i < RINGS; i++) {
		atomic_fetch_add(&sh->value, 1);
		hub_ring(sh->hub, "value");
	}
	return NULL;
}

static void *consume_waiting(void *arg)
{
	struct shared *sh = arg;
	for (;;) {
		uint64_t seen = hub_seq(sh->hub, "value");
		if (atomic_load(&sh->value) == PRODUCERS * RINGS)
			return NULL;
		hub_wait(sh->hub, "value", seen, -1);
	}
}

struct thread_sleeper {
	struct hub_waiter waiter;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool awake;
};

static void wake_thread(struct hub_waiter *w)
{
	struct thread_sleeper *s = (struct thread_sleeper *)w;
	pthread_mutex_lock(&s->lock);
	s->awake = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

static void *consume_registered(void *arg)
{
	struct shared *sh = arg;
	struct thread_sleeper s = {.waiter.wake = wake_thread};
	pthread_mutex_init(&s.lock, NULL);
	pthread_cond_init(&s.cond, NULL);
	for (;;) {
		uint64_t seen = hub_seq(sh->hub, "value");
		if (atomic_load(&sh->value) == PRODUCERS * RINGS)
			break;
		s.awake = false;
		if (!hub_register(sh->hub, "value", seen, &s.waiter, NULL))
			continue;
		pthread_mutex_lock(&s.lock);
		while (!s.awake)
			pthread_cond_wait(&s.cond, &s.lock);
		pthread_mutex_unlock(&s.lock);
	}
	pthread_cond_destroy(&s.cond);
	pthread_mutex_destroy(&s.lock);
	return NULL;
}

START_TEST(no_ring_is_lost_between_looking_and_sleeping)
{
	struct shared sh = {.hub = hub_new()};
	pthread_t producers[PRODUCERS], waiting[CONSUMERS], registered[CONSUMERS];
	for (int i = 0; i < CONSUMERS; i++) {
		pthread_create(&waiting[i], NULL, consume_waiting, &sh);
		pthread_create(&registered[i], NULL, consume_registered, &sh);
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_create(&producers[i], NULL, produce, &sh);
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i], NULL);
	for (int i = 0; i < CONSUMERS; i++) {
		pthread_join(waiting[i], NULL); /* the suite's timeout fails the test when one never wakes */
		pthread_join(registered[i], NULL);
	}
	ck_assert_int_eq(atomic_load(&sh.value), PRODUCERS * RINGS);
	hub_free(sh.hub);
}
END_TEST

static void *wait_for_close(void *arg)
{
	struct shared *sh = arg;
	atomic_fetch_add(&sh->value, 1);
	while (!hub_closed(sh->hub))
		hub_wait(sh->hub, "never", hub_seq(sh->hub, "never"), -1);
	return NULL;
}

START_TEST(closing_wakes_every_waiting_thread)
{
	struct shared sh = {.hub = hub_new()};
	pthread_t threads[CONSUMERS];
	for (int i = 0; i < CONSUMERS; i++)
		pthread_create(&threads[i], NULL, wait_for_close, &sh);
	while (atomic_load(&sh.value) < CONSUMERS)
		sched_yield();
	hub_close(sh.hub);
	for (int i = 0; i < CONSUMERS; i++)
		pthread_join(threads[i], NULL);
	hub_free(sh.hub);
}
END_TEST

START_TEST(topics_that_share_a_counter_cost_only_a_look)
{
	struct hub *h = hub_new();
	int woken = 0;
	for (int i = 0; i < 5000; i++) { /* more topics than counters: some share one */
		char topic[32];
		snprintf(topic, sizeof topic, "job_%d", i);
		struct sleeper a = {.waiter.wake = wake};
		ck_assert(hub_register(h, "job_0", hub_seq(h, "job_0"), &a.waiter, asleep));
		hub_ring(h, topic);
		woken += a.woken;
		hub_cancel(h, &a.waiter);
		ck_assert_int_eq(a.woken, 1);
	}
	ck_assert_int_ge(woken, 2);
	ck_assert_int_le(woken, 50);
	hub_free(h);
}
END_TEST

TEST_SUITE(hub, 20)
{
	tcase_add_test(tc, a_ring_wakes_each_sleeper_of_its_topic_once);
	tcase_add_test(tc, who_looked_before_the_ring_does_not_fall_asleep);
	tcase_add_test(tc, a_cancelled_sleeper_is_woken_once_and_can_sleep_again);
	tcase_add_test(tc, a_wait_ends_by_itself_when_nothing_moves);
	tcase_add_test(tc, nobody_sleeps_at_a_closed_hub);
	tcase_add_test(tc, no_ring_is_lost_between_looking_and_sleeping);
	tcase_add_test(tc, closing_wakes_every_waiting_thread);
	tcase_add_test(tc, topics_that_share_a_counter_cost_only_a_look);
}
