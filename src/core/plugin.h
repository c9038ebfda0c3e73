/* plugin.h: methods from shared objects. A plugin is a method's file built with -DNL_PLUGIN; see
 * docs/adding-a-method.md. */
#ifndef NL_PLUGIN_H
#define NL_PLUGIN_H

#include "base/status.h"

/* Loads the shared object and registers its method; *name is its name (may be NULL), as long as the
 * process lives: plugins are not unloaded. NL_EIO: not there or not loadable; NL_EABI: no method in
 * it, or built for another normlab; NL_ENAME: a method of that name is there. */
nl_status nl_norm_plugin(const char *path, const char **name) NL_CHECKED;

#endif
