/*
 * inside.h - what the files of http/ share: a connection, a request on its way, the reply recorded for it, the server.
 *
 * A request belongs to one event thread, except between slow_submit() and its resumption, when it belongs to a slow
 * thread. A suspended connection is resumed by whoever finished its work, under a lock that was held when it was
 * suspended. Lock order: conns, then hub or slow, then libmicrohttpd's own.
 */
#ifndef HTTP_INSIDE_H
#define HTTP_INSIDE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"

enum {
	TARGET_MAX = 8192,      /* bytes of path and query */
	HEADERS_MAX = 32 << 10, /* bytes of the request line and all headers */
	HEADER_COUNT_MAX = 100,
	CONNECTION_MEMORY = 52 << 10, /* libmicrohttpd's pool of one connection, all of which it touches */
	QUERY_MAX = 64,               /* parameters */
	SEGMENTS_MAX = 12,            /* of a route */
	NAMED_MAX = 4,                /* {names} of a route */
	NAME_MAX_LENGTH = 64,         /* of a value for a {name} */
	REPLY_HEADERS_MAX = 16,
	JSON_DEPTH_MAX = 64,
	BLOCK = 16 << 10,    /* of a stream */
	DRAIN_MAX = 1 << 20, /* bytes of a refused body that are still read, so that the client hears why */
	SLOW_QUEUE_MAX = 64, /* requests waiting for a slow thread */
};

/* ---- a connection, from its opening to its closing; in the server's list, which the sweeper walks ---- */
struct conn {
	struct http_server *srv;
	struct MHD_Connection *con;
	int fd;
	bool local;               /* came over a Unix socket */
	int64_t uid;              /* of the process at its other end when local; -1: not known */
	int requests;             /* begun on it */
	atomic_llong deadline;    /* monotonic ms at which the client is cut off; 0: none */
	atomic_llong since;       /* monotonic ms at which it was set: the client's turn began */
	atomic_llong alarm;       /* monotonic ms at which a sleeper is woken; 0: none */
	atomic_bool reading;      /* a request is awaited or still arriving */
	bool engaged;             /* new, or in a request; under conns_lock, as is the next */
	bool cut;                 /* it is on its way out */
	struct hub_waiter waiter; /* registered exactly while the connection sleeps on the hub */
	struct conn *next, **prev_next;
};

enum reply_kind { REPLY_NONE, REPLY_EMPTY, REPLY_BYTES, REPLY_STATIC, REPLY_STREAM };

struct reply {
	enum reply_kind kind;
	int status;
	char type[96];
	void *owned; /* REPLY_BYTES */
	const void *data;
	size_t size;
	struct http_stream stream;
	struct reply_header {
		char *name, *value;
	} headers[REPLY_HEADERS_MAX];
	int nheaders;
	bool close; /* end the connection after it */
};

/* What the next call of request_call means. */
enum step {
	STEP_NEW,    /* the headers are there */
	STEP_BODY,   /* some of the body, or its end */
	STEP_SLOW,   /* a slow thread has run the handler */
	STEP_ASLEEP, /* a long poll woke up: run the handler again */
	STEP_DONE    /* nothing: a response is queued */
};

struct http_request {
	struct http_server *srv;
	struct conn *conn;
	struct MHD_Connection *con;
	char id[40];
	double started; /* clock_mono */
	enum step step;
	const char *method; /* of the table of known ones, "GET" for HEAD; "?" before it is known */
	bool head;
	char *target; /* raw, cut at the '?' once looked at; NULL when longer than TARGET_MAX */
	size_t target_size;
	uintptr_t target_at; /* where libmicrohttpd held it, to find a NUL within */
	char *query_text;    /* decoded names and values */
	struct query_pair {
		const char *name, *value;
	} query[QUERY_MAX];
	int nquery;
	struct named {
		const char *name; /* within the route's path, not terminated */
		size_t size;
		char value[NAME_MAX_LENGTH + 1];
	} named[NAMED_MAX];
	int nnamed;
	const struct route *route;
	struct http_identity identity;

	/* the body */
	bool chunked;
	int64_t declared, received; /* declared: the Content-Length, -1 without */
	int64_t drained;            /* of a body that was refused while it came */
	int64_t body_since;         /* monotonic ms */
	char *bytes;                /* BODY_JSON */
	size_t bytes_room;
	json_t *json;
	char *upload_path; /* BODY_FILE: unlinked with the request unless it was renamed away */
	int upload_fd;
	struct {
		bool set;
		int64_t bytes;
		enum error_code refusal;
	} room;

	struct reply reply;
	struct {
		bool wanted;
		char topic[64];
		uint64_t seen;
		int64_t until; /* monotonic ms; 0 before the first call */
		bool waited;
	} later;
	bool waiting; /* counted in srv->waiting */
	struct http_request *next_slow;
};

struct compiled_route {
	const struct route *route;
	int nsegments, literals;
	struct {
		const char *at;
		size_t size;
		bool named;
	} segments[SEGMENTS_MAX];
};

struct host_list {
	char *text;
	const char *names[32];
	int count, configured; /* names[configured..] come from allowed_hosts */
};

/* Connections of a kind: over TCP, or local ones. */
struct crowd {
	int here;    /* in the list */
	int coming;  /* accepted, and not in the list yet */
	int leaving; /* in the list, and cut off */
};

struct door;      /* door.c */
struct slow_pool; /* slow.c */
struct sweeper;   /* deadline.c */

struct http_server {
	struct http_options o; /* strings are the server's own copies */
	char *address, *upload_dir, *unix_socket;
	bool made_unix_socket; /* by us, not passed: removed at the end */
	int port;
	struct compiled_route *routes;
	struct host_list hosts;
	struct MHD_Daemon *daemon;
	struct door *door;

	pthread_mutex_t conns_lock; /* of these */
	pthread_cond_t settled;     /* engaged has become less */
	struct conn *conns;
	struct crowd crowd[2]; /* [1]: local */
	int engaged;           /* connections that are new, coming, or in a request */
	long long came_at;     /* monotonic ms at which the last one was accepted */
	struct sweeper *sweeper;
	struct slow_pool *slow;

	atomic_bool closing; /* each answer is the last of its connection */
	atomic_int wakes;    /* walks of the sweeper that wake all sleepers */

	atomic_llong requests, responses[6], connections, streams, waiting, bytes_in, bytes_out, refused, timeouts;
};

long long now_ms(void); /* monotonic */

/* listen.c: non-blocking listening sockets; -1 (logged) */
int listen_tcp(const char *address, int port, bool anywhere); /* not anywhere: on loopback alone */
bool listen_is_loopback(int fd);
int listen_unix(const char *path);
void listen_adopt(int fd); /* makes a passed socket like one of ours */
bool listen_is_unix(int fd);
int64_t listen_peer_uid(int fd); /* of a connection over a Unix socket, as the kernel noted it; -1: not known */
int listen_port(int fd);         /* 0 for a Unix socket */

/* door.c: takes the listening sockets, of which door_close closes our descriptors; what a passed one holds waits there
 */
struct door *door_open(struct http_server *srv, const int *listening, int n); /* n: 1 or 2; NULL (logged): not taken */
void door_close(struct door *d);                                              /* takes NULL */
/* The socket is libmicrohttpd's from here on, also when it is refused. */
bool door_admit(struct http_server *srv, int fd, const struct sockaddr *from, socklen_t size, bool local);
bool door_keeps(struct conn *c); /* false: all places are taken by connections that keep them */

/* deadline.c: connections, their deadlines and alarms, and the thread that looks at them */
void conn_notify(
	void *cls, struct MHD_Connection *con, void **socket_context, enum MHD_ConnectionNotificationCode code);
void conn_deadline_in(struct conn *c, int64_t ms); /* from now; 0: none */
void conn_engage(struct conn *c, bool engaged);
void conn_cut(struct conn *c);              /* under conns_lock */
bool conn_peer_ended(const struct conn *c); /* the client will send nothing more */
struct sweeper *sweeper_start(struct http_server *srv);
void sweeper_stop(struct sweeper *s); /* takes NULL */
/* The earlier of a time (monotonic ms) and the end of whoever asks. */
long long alarm_before_end(const struct http_identity *who, long long at);

/* handle.c: libmicrohttpd's callbacks for a request */
void *request_begin(void *cls, const char *uri, struct MHD_Connection *con);
enum MHD_Result request_call(void *cls, struct MHD_Connection *con, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **req_cls);
void request_end(void *cls, struct MHD_Connection *con, void **req_cls, enum MHD_RequestTerminationCode code);

/* guard.c: each is true when all is well, else a refusal is recorded */
bool guard_framing(struct http_request *rq, const char *method, const char *version);
bool guard_method(struct http_request *rq, const char *method);
bool guard_origin(struct http_request *rq);
bool hosts_parse(struct host_list *ret, const char *list, const char *address);

/* target.c */
bool target_parse(struct http_request *rq);
/* Decodes %xx of from into ret (may be the same); false for a bad escape, %00 or, in a path, %2f and %5c. */
bool target_decode(const char *from, size_t size, char *ret, bool path);

/* router.c */
struct compiled_route *routes_compile(const struct route *routes, int n); /* NULL (logged) */
bool route_find(struct http_request *rq);
const char *method_known(const char *method); /* NULL: not one of ours */

/* body.c */
void body_room_end(struct http_request *rq);                           /* tells o.over, once */
bool body_check(struct http_request *rq);                              /* before the first byte */
bool body_add(struct http_request *rq, const char *data, size_t size); /* false: end the connection */
bool body_finish(struct http_request *rq);                             /* after the last byte */
void body_drop_upload(struct http_request *rq);                        /* unless the handler renamed it away */
void body_free(struct http_request *rq);
void uploads_clean(const char *dir); /* what a crash left behind */

/* reply.c, problem.c */
bool reply_any(const struct http_request *rq);
void reply_busy(struct http_request *rq, const char *why); /* 503, try again in a second */
enum MHD_Result reply_send(struct http_request *rq);       /* queues the recorded reply */
void reply_free(struct reply *r);
bool problem_text(const struct http_request *rq, const struct problems *problems, char **ret, size_t *ret_size);

/* stream.c: takes over the recorded stream */
struct MHD_Response *stream_response(struct http_request *rq);

/* sleep.c: streams and long polls take part in srv->waiting; false: too many do */
#define TOO_MANY_WAIT "Too many clients are waiting for events."
bool waiting_begin(struct http_request *rq);
void waiting_end(struct http_request *rq); /* if it does */
/* sleeps until later.topic moves on; false: go on at once, or there is a reply */
bool request_sleep(struct http_request *rq);
void sleeper_wake(struct hub_waiter *w);   /* for hub_waiter.wake */
void sleeper_asleep(struct hub_waiter *w); /* for hub_register */

/* slow.c */
struct slow_pool *slow_start(int threads);
bool slow_submit(struct slow_pool *p, struct http_request *rq); /* suspends and hands over; false: full or stopping */
void slow_stop(struct slow_pool *p); /* waits for running handlers, refuses the waiting; takes NULL */
void slow_free(struct slow_pool *p);

#endif
