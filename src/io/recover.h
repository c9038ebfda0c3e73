/* recover.h: makes the file a killed run left an ordinary closed HDF5 file.
 *
 * Works on a copy beside the file, which is then renamed over it, so that a second kill harms
 * nothing. Every channel is cut to the rows its timeline had committed. */
#ifndef NL_RECOVER_H
#define NL_RECOVER_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* path: run.h5.part or run.h5. The root attribute outcome "running" becomes "killed". says gets one
 * line of what was done, without a newline; it may be NULL. NL_EIO: not there, or still being
 * written by a running process; NL_EFORMAT: not a run file of normlab, or killed before its first
 * row. The file is then as it was. */
nl_status nl_recover(const char *path, nl_text *says) NL_CHECKED;

/* Makes `to` a recovered copy of `from` whose outcome is "running" and whose rows end at step and
 * epoch (see nl_log_resume). `to` may be `from`. */
nl_status nl_recover_to(const char *from, const char *to, int64_t step, int64_t epoch) NL_CHECKED;

#endif
