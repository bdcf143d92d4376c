/* The version of libfrozen that a program is compiled against.
 *
 * fz_version() in frozen.h gives the version of the library that runs. */
#ifndef FROZEN_VERSION_H
#define FROZEN_VERSION_H

#define FZ_VERSION_MAJOR 0
#define FZ_VERSION_MINOR 1
#define FZ_VERSION_PATCH 0
#define FZ_VERSION_STRING "0.1.0"

#endif
