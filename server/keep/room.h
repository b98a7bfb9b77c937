/*
 * room.h - whether the disk has room. Called by the keeper.
 */
#ifndef KEEP_ROOM_H
#define KEEP_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* So many bytes of files below the state directory's checkpoints. They are asked for and given back, because what a
 * file system says of its free blocks knows no quota, and nothing of what is kept for others. */
bool room_for(const char *state_dir, int64_t bytes);

#endif
