/* status.h: one error idiom. The message is set where the failure is; the code travels up. */
#ifndef NL_STATUS_H
#define NL_STATUS_H

#include "base/api.h"

/* One list gives the enum, nl_status_text() and the table in the manual. */
#define NL_STATUS_LIST(X)                           \
    X(NL_OK, "success")                             \
    X(NL_ENOMEM, "out of memory")                   \
    X(NL_EOPTION, "option unknown or out of range") \
    X(NL_ESHAPE, "shape not supported")             \
    X(NL_ENAME, "no such name")                     \
    X(NL_EIO, "file could not be read or written")  \
    X(NL_EFORMAT, "file content not understood")    \
    X(NL_EABI, "plugin built for another normlab")  \
    X(NL_ESTATE, "not possible in this state")      \
    X(NL_ECHILD, "a run failed")

#define NL_ENUM(code, text) code,
typedef enum nl_status { NL_STATUS_LIST(NL_ENUM) NL_STATUS_COUNT } nl_status;
#undef NL_ENUM

#define NL_CHECKED __attribute__((warn_unused_result))
#define NL_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

const char *nl_status_text(nl_status st);

/* Message of the latest failure on this thread: one line, no trailing period. Never NULL. */
const char *nl_last_error(void);

/* Where that failure was and through which callers it came: "file:line <- file:line". */
const char *nl_last_trace(void);

/* Records a message and gives the code back, so the two cannot disagree:
 *     return nl_fail(NL_ESHAPE, "idx: %s has %lld images, expected %lld", path, a, b);
 * Allocates nothing. The code stands here, not behind a call, so that static analysis sees that a
 * failure is not NL_OK; it is evaluated once. */
#define nl_fail(code, ...) (nl_fail_at(__FILE__, __LINE__, __VA_ARGS__), (code))
NL_API void nl_fail_at(const char *file, int line, const char *fmt, ...) NL_PRINTF(3, 4);
NL_API nl_status nl_trace(const char *file, int line, nl_status st); /* gives st back */

/* Puts "FILE:LINE:COLUMN: " or any other place in front of the latest message. */
void nl_error_prefix(const char *fmt, ...) NL_PRINTF(1, 2);

/* Leaves the function with the callee's status. */
#define NL_TRY(expr)                               \
    do {                                           \
        nl_status nl_try_ = (expr);                \
        if (nl_try_ != NL_OK) {                    \
            nl_trace(__FILE__, __LINE__, nl_try_); \
            return nl_try_;                        \
        }                                          \
    } while (0)

/* The same where there is something to release: needs `st` and label `done`. */
#define NL_GO(expr)                           \
    do {                                      \
        st = (expr);                          \
        if (st != NL_OK) {                    \
            nl_trace(__FILE__, __LINE__, st); \
            goto done;                        \
        }                                     \
    } while (0)

/* Fails here and goes to `done`. */
#define NL_BAIL(code, ...)                 \
    do {                                   \
        st = nl_fail((code), __VA_ARGS__); \
        goto done;                         \
    } while (0)

#endif
