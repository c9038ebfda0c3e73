/* clock.h: seconds. */
#ifndef NL_CLOCK_H
#define NL_CLOCK_H

double nl_wall_seconds(void);        /* monotonic */
double nl_process_cpu_seconds(void); /* all threads */

#endif
