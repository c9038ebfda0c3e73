/* h5.h: the few HDF5 habits shared by run files and checkpoints. Ids are hid_t; every call that
 * can fail says so by a negative value, and nl_h5_fail turns HDF5's error stack into one line. */
#ifndef NL_H5_H
#define NL_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "core/store.h"

enum { NL_H5_RANK_MAX = 4 };

/* Root attributes format and schema_version of a run file. */
#define NL_RUN_FORMAT "normlab run"
enum { NL_RUN_SCHEMA = 1 };

/* NL_EFORMAT: another kind of file, another schema, or killed before rows could be written. */
nl_status nl_h5_check_run(hid_t file, const char *path) NL_CHECKED;

/* Before the first HDF5 call of a thread: HDF5 prints nothing by itself and leaves nothing to do
 * at exit, where a file whose write failed would crash the program. */
void nl_h5_start(void);

/* NL_EIO "PATH: DOING: reason"; the reason is the system's (No space left on device) where there
 * is one. It is that of the thread's latest failed HDF5 call. */
nl_status nl_h5_fail(const char *path, const char *doing) NL_CHECKED;

/* File access as every file here is written and read: format 1.10. The caller closes it. */
hid_t nl_h5_access(void);

/* Thousands of data sets need more metadata than the cache holds by itself; what it throws out
 * while a file is written in SWMR mode can make HDF5 1.10 fail (flush dependencies of what is
 * gone). The size is a limit: memory is taken as it is needed. */
void nl_h5_hold_metadata(hid_t file);

hid_t nl_h5_file_type(nl_vartype type);   /* little endian, as stored; library's, not closed */
hid_t nl_h5_memory_type(nl_vartype type); /* native; library's, not closed */
hid_t nl_h5_text_type(void);              /* variable-length UTF-8; the caller closes it */

/* Creation properties of a group or data set without time stamps and with links and attributes in
 * order of creation. class is H5P_GROUP_CREATE, H5P_DATASET_CREATE or H5P_FILE_CREATE. */
hid_t nl_h5_creation(hid_t class);

/* Creates the groups "/a", "/a/b" of "/a/b/c" where missing. Negative on failure. */
herr_t nl_h5_make_groups(hid_t file, const char *path);
bool nl_h5_exists(hid_t file, const char *path);

/* Attributes of an object; an existing one is replaced. Negative on failure. */
herr_t nl_h5_set_text(hid_t object, const char *name, const char *value);
herr_t nl_h5_set_real(hid_t object, const char *name, double value);
herr_t nl_h5_set_int(hid_t object, const char *name, int64_t value);

/* A missing attribute or one of another kind gives false and leaves *out alone. */
bool nl_h5_get_text(hid_t object, const char *name, nl_text *out);
bool nl_h5_get_real(hid_t object, const char *name, double *out);
bool nl_h5_get_int(hid_t object, const char *name, int64_t *out);

/* The extents of a variable as it is declared: without those that are NL_1, with the time steps in
 * front if there are several. dim has NL_H5_RANK_MAX places; gives the rank. */
int nl_h5_item_shape(const nl_item *it, hsize_t *dim);

/* "(100, 7)" */
const char *nl_h5_shape(const hsize_t *dim, int rank, char *buf, size_t room);

#endif
