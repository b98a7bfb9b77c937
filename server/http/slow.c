/*
 * slow.c - threads for handlers that take long, so that event threads never wait. The connection is suspended while its
 * request is here; the queue is bounded, and who finds it full is told to come again.
 */
#include <stdlib.h>

#include "base/jsonmem.h"
#include "base/log.h"
#include "http/inside.h"

struct slow_pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct http_request *first, **last_next;
	int waiting;
	bool stop;
	int threads;
	pthread_t ids[];
};

static void *slow_run(void *arg)
{
	struct slow_pool *p = arg;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->first && !p->stop)
			pthread_cond_wait(&p->more, &p->lock);
		struct http_request *rq = p->first;
		if (!rq)
			break;
		p->first = rq->next_slow;
		if (!p->first)
			p->last_next = &p->first;
		p->waiting--;
		bool refuse = p->stop;
		pthread_mutex_unlock(&p->lock);
		jsonmem_begin();
		if (refuse)
			reply_busy(rq, "The server is stopping.");
		else
			rq->route->handler(rq);
		MHD_resume_connection(rq->con);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct slow_pool *slow_start(int threads)
{
	struct slow_pool *p = calloc(1, sizeof(*p) + (size_t)threads * sizeof(p->ids[0]));
	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	p->last_next = &p->first;
	for (; p->threads < threads; p->threads++)
		if (pthread_create(&p->ids[p->threads], NULL, slow_run, p) != 0) {
			log_line(LOG_ERROR, "cannot start %d slow threads", threads);
			slow_stop(p);
			slow_free(p);
			return NULL;
		}
	return p;
}

bool slow_submit(struct slow_pool *p, struct http_request *rq)
{
	pthread_mutex_lock(&p->lock);
	bool room = !p->stop && p->waiting < SLOW_QUEUE_MAX;
	if (room) {
		rq->step = STEP_SLOW;
		rq->next_slow = NULL;
		*p->last_next = rq;
		p->last_next = &rq->next_slow;
		p->waiting++;
		conn_deadline_in(rq->conn, 0);
		MHD_suspend_connection(rq->con);
		pthread_cond_signal(&p->more);
	}
	pthread_mutex_unlock(&p->lock);
	return room;
}

void slow_stop(struct slow_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->threads; i++)
		pthread_join(p->ids[i], NULL);
	p->threads = 0;
}

void slow_free(struct slow_pool *p)
{
	if (!p)
		return;
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
