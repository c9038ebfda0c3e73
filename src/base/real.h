/* real.h: the storage type of tensors. The library is built twice from the same sources. */
#ifndef NL_REAL_H
#define NL_REAL_H

#include <float.h>

#ifdef NL_F64
typedef double nl_real;
#define NL_PRECISION "double"
#define NL_REAL_EPSILON DBL_EPSILON
#else
typedef float nl_real;
#define NL_PRECISION "float"
#define NL_REAL_EPSILON FLT_EPSILON
#endif

#endif
