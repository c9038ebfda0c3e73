/* random.h: counter-based random numbers, Philox 4x32-10 (Salmon et al. 2011, "Parallel random
 * numbers: as easy as 1, 2, 3"). A number is a function of (seed, stream, epoch, index) alone:
 * independent of threads, of call order and of every other stream. */
#ifndef NL_RANDOM_H
#define NL_RANDOM_H

#include <stdint.h>

#include "base/api.h"
#include "base/real.h"

/* What a random number is for. Appending is fine; renumbering changes every run. */
typedef enum nl_stream {
    NL_STREAM_INIT = 1, /* initial weights; `epoch` is the hash of "layer/variable" */
    NL_STREAM_ORDER,    /* order of the examples */
    NL_STREAM_DROPOUT,  /* `epoch` is the hash of the layer's name mixed with the step */
    NL_STREAM_DATA,     /* generated data sets */
    NL_STREAM_AUGMENT,
    NL_STREAM_SPLIT,
    NL_STREAM_PROBE,
    NL_STREAM_TEST,
    NL_STREAM_NORM,      /* methods that draw; `epoch` is the step mixed with the norm's place */
    NL_STREAM_STATE,     /* noise on initial states; `epoch` as of dropout */
    NL_STREAM_STATISTICS /* resamples and sign flips; `epoch` is the draw */
} nl_stream;

typedef struct nl_key {
    uint64_t seed;
    uint32_t stream;
    uint64_t epoch; /* or any other 64-bit sub-stream */
} nl_key;

void nl_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

NL_API uint32_t nl_random_u32(nl_key key, uint64_t index);
NL_API double nl_random_uniform(nl_key key, uint64_t index); /* [0, 1), 53 bits */
NL_API double nl_random_normal(nl_key key, uint64_t index);  /* mean 0, variance 1 (Box-Muller) */

/* A whole number in [0, n), without bias to 2^-64 n. */
NL_API int64_t nl_random_below(nl_key key, uint64_t index, int64_t n);

/* order[i], i < n, becomes a permutation of 0 .. n-1 (Fisher-Yates). */
void nl_random_permutation(nl_key key, int64_t *order, int64_t n);

/* FNV-1a, 64 bits: turns a name into a sub-stream, a spec into a run's hash. */
uint64_t nl_hash_text(const char *text);
uint64_t nl_hash_bytes(uint64_t hash, const void *bytes, uint64_t count);
#define NL_HASH_START 0xcbf29ce484222325u

#endif
