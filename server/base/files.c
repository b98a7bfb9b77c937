/* files.c - see files.h. */
#include "base/files.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"

void files_allow(long wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		log_line(LOG_WARNING, "cannot read the limit of open files: %s", strerror(errno));
		return;
	}
	rlim_t want = (rlim_t)wanted;
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= want)
		return;
	bool short_of = limit.rlim_max != RLIM_INFINITY && limit.rlim_max < want;
	limit.rlim_cur = short_of ? limit.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_line(LOG_WARNING, "cannot raise the limit of open files to %ld: %s", wanted, strerror(errno));
	else if (short_of)
		log_line(LOG_WARNING,
			"at most %llu files may be open, and max_connections needs %ld: some clients will be refused "
			"(LimitNOFILE, ulimit -Hn)",
			(unsigned long long)limit.rlim_max, wanted);
}
