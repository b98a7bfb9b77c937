/*
 * faults.h - what a test and tests/faults/faults.c, loaded into the daemon with LD_PRELOAD, have in common: one mapped
 * file, named by $FAULTS, through which the test arms faults and sees what they did.
 *
 * Fields are atomic, so a test may arm a daemon that runs. All zeros is a library that does nothing but count.
 */
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

/* Calls that are counted, and can fail, on files below dir. */
enum fault_op {
	FAULT_OPEN = 1,
	FAULT_WRITE = 2, /* and pwrite */
	FAULT_SYNC = 4,  /* fsync and fdatasync */
	FAULT_RENAME = 8,
	FAULT_TRUNCATE = 16,
	FAULT_UNLINK = 32,
	FAULT_MAP = 64,
	FAULT_MKDIR = 128,
	FAULT_READ = 256, /* and pread */
	FAULT_CHANGES = FAULT_OPEN | FAULT_WRITE | FAULT_SYNC | FAULT_RENAME | FAULT_TRUNCATE | FAULT_UNLINK |
			FAULT_MAP | FAULT_MKDIR
};

/* Instead of an errno: the first half is written, which is no error. */
enum { FAULT_SHORT = -1 };

/* Whose file it was. */
enum fault_place { FAULT_ELSEWHERE = 1, FAULT_DATABASE, FAULT_CHECKPOINT, FAULT_UPLOAD, FAULT_DATASET };

/* The k-th of something fails; counted from 1. */
struct fault_count {
	_Atomic int64_t calls, at; /* at 0: none fails */
	_Atomic int lasting;       /* all from there on fail too */
	_Atomic int64_t hits;      /* failed */
};

struct fault_control {
	char dir[128]; /* the state directory; set before the daemon starts */
	struct fault_count file;
	_Atomic int ops, error;             /* a mask of fault_op; errno or FAULT_SHORT */
	_Atomic int place;                  /* of these files alone; 0: of all */
	_Atomic int hit_op, hit_place;      /* of the first that failed */
	_Atomic int synced_badly;           /* a sync failed */
	struct fault_count memory;          /* allocations of the daemon and of the libraries that it calls */
	_Atomic int memory_counts;          /* from now on */
	char doomed[64];                    /* a job: its thread dies in each attempt ... */
	_Atomic int doom_signal, doom_team; /* ... by this signal (0: lives), or a thread of its team does */
};

#endif
