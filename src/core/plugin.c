#include "core/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "core/norm.h"

static const char entry[] = "nl_plugin_norm";

static nl_status register_from(void *handle, const char *path, const char **name)
{
    const nl_norm_ops *(*method)(void);
    void *symbol = dlsym(handle, entry);
    if (!symbol)
        return nl_fail(NL_EABI, "plugin: %s has no %s (built without -DNL_PLUGIN?)", path, entry);
    memcpy(&method, &symbol, sizeof method); /* ISO C has no cast from object to function */
    const nl_norm_ops *ops = method();
    const nl_status st = nl_norm_register(ops);
    if (st != NL_OK)
        nl_error_prefix("%s: ", path);
    else if (name)
        *name = ops->name;
    return st;
}

nl_status nl_norm_plugin(const char *path, const char **name)
{
    char here[4096];
    /* without a slash the loader would look in the system's folders */
    snprintf(here, sizeof here, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *handle = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return nl_fail(NL_EIO, "plugin: %s", dlerror());
    const nl_status st = register_from(handle, path, name);
    if (st != NL_OK)
        dlclose(handle);
    return st;
}
