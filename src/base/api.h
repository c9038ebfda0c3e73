/* api.h: what a plugin may call in the program that loads it; all else stays hidden. */
#ifndef NL_API_H
#define NL_API_H

#define NL_API __attribute__((visibility("default")))

#endif
