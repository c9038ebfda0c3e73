#include "io/h5.h"

#include <stdio.h>
#include <string.h>

/* Why the latest HDF5 call of this thread failed: noted at once, as the next call forgets it. */
static _Thread_local struct {
    char system[200], own[200];
} reason;

/* Drivers write "..., errno = 28, error message = 'No space left on device', ...". */
static herr_t read_reason(unsigned depth, const H5E_error2_t *entry, void *arg)
{
    (void)depth;
    (void)arg;
    static const char mark[] = "error message = '";
    const char *text = entry->desc ? entry->desc : "";
    const char *at = strstr(text, mark);
    if (!reason.own[0])
        snprintf(reason.own, sizeof reason.own, "%s", text);
    if (!reason.system[0] && at) {
        at += sizeof mark - 1;
        snprintf(reason.system, sizeof reason.system, "%.*s", (int)strcspn(at, "'"), at);
    }
    return 0;
}

static herr_t note_reason(hid_t stack, void *arg)
{
    reason.system[0] = reason.own[0] = 0;
    return H5Ewalk2(stack, H5E_WALK_UPWARD, read_reason, arg);
}

void nl_h5_start(void)
{
    H5dont_atexit(); /* refused once the library runs; harmless */
    H5Eset_auto2(H5E_DEFAULT, note_reason, NULL);
}

nl_status nl_h5_fail(const char *path, const char *doing)
{
    const char *why = reason.system[0] ? reason.system
                      : reason.own[0]  ? reason.own
                                       : "no reason given";
    return nl_fail(NL_EIO, "%s: %s: %s", path, doing, why);
}

hid_t nl_h5_access(void)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0)
        H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    return access;
}

enum { METADATA_BYTES = 128 << 20 };

void nl_h5_hold_metadata(hid_t file)
{
    H5AC_cache_config_t config = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    if (H5Fget_mdc_config(file, &config) < 0)
        return;
    config.set_initial_size = true;
    config.initial_size = config.max_size = METADATA_BYTES;
    config.incr_mode = H5C_incr__off;
    config.flash_incr_mode = H5C_flash_incr__off;
    config.decr_mode = H5C_decr__off;
    H5Fset_mdc_config(file, &config);
}

hid_t nl_h5_file_type(nl_vartype type)
{
    if (type == NL_TYPE_INT64)
        return H5T_STD_I64LE;
    if (type == NL_TYPE_DOUBLE || sizeof(nl_real) == sizeof(double))
        return H5T_IEEE_F64LE;
    return H5T_IEEE_F32LE;
}

hid_t nl_h5_memory_type(nl_vartype type)
{
    if (type == NL_TYPE_INT64)
        return H5T_NATIVE_INT64;
    if (type == NL_TYPE_DOUBLE || sizeof(nl_real) == sizeof(double))
        return H5T_NATIVE_DOUBLE;
    return H5T_NATIVE_FLOAT;
}

hid_t nl_h5_text_type(void)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

hid_t nl_h5_creation(hid_t class)
{
    const unsigned ordered = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    const hid_t list = H5Pcreate(class);
    H5Pset_obj_track_times(list, 0);
    H5Pset_attr_creation_order(list, ordered);
    if (H5Pisa_class(list, H5P_GROUP_CREATE) > 0)
        H5Pset_link_creation_order(list, ordered);
    return list;
}

herr_t nl_h5_make_groups(hid_t file, const char *path)
{
    char part[1024];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (H5Lexists(file, part, H5P_DEFAULT) > 0)
            continue;
        const hid_t list = nl_h5_creation(H5P_GROUP_CREATE);
        const hid_t group = H5Gcreate2(file, part, H5P_DEFAULT, list, H5P_DEFAULT);
        H5Pclose(list);
        if (group < 0 || H5Gclose(group) < 0)
            return -1;
    }
    return 0;
}

/* H5Lexists fails where a group on the way is missing. */
bool nl_h5_exists(hid_t file, const char *path)
{
    char part[1024];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (H5Lexists(file, part, H5P_DEFAULT) <= 0)
            return false;
    }
    return !path[1] || H5Lexists(file, path, H5P_DEFAULT) > 0;
}

static herr_t set_attribute(hid_t object, const char *name, hid_t type, const void *value)
{
    if (H5Aexists(object, name) > 0 && H5Adelete(object, name) < 0)
        return -1;
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Sclose(space);
    if (attr < 0)
        return -1;
    const herr_t written = H5Awrite(attr, type, value);
    const herr_t closed = H5Aclose(attr);
    return written < 0 || closed < 0 ? -1 : 0;
}

/* Variable length, because h5py gives text of fixed length as bytes. */
herr_t nl_h5_set_text(hid_t object, const char *name, const char *value)
{
    const hid_t type = nl_h5_text_type();
    const herr_t failed = set_attribute(object, name, type, &value);
    H5Tclose(type);
    return failed;
}

herr_t nl_h5_set_real(hid_t object, const char *name, double value)
{
    return set_attribute(object, name, H5T_IEEE_F64LE, &value);
}

herr_t nl_h5_set_int(hid_t object, const char *name, int64_t value)
{
    return set_attribute(object, name, H5T_STD_I64LE, &value);
}

static hid_t open_attribute(hid_t object, const char *name)
{
    if (H5Aexists(object, name) <= 0)
        return -1;
    return H5Aopen(object, name, H5P_DEFAULT);
}

static bool read_string(hid_t attr, hid_t type, nl_text *out)
{
    const hid_t space = H5Aget_space(attr);
    char *text = NULL;
    const bool read = H5Sget_simple_extent_npoints(space) == 1 && H5Tis_variable_str(type) > 0 &&
                      H5Aread(attr, type, &text) >= 0;
    if (read && text)
        nl_text_add(out, "%s", text);
    if (read)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, &text);
    H5Sclose(space);
    return read;
}

bool nl_h5_get_text(hid_t object, const char *name, nl_text *out)
{
    const hid_t attr = open_attribute(object, name);
    if (attr < 0)
        return false;
    const hid_t type = H5Aget_type(attr);
    const bool read = H5Tget_class(type) == H5T_STRING && read_string(attr, type, out);
    H5Tclose(type);
    H5Aclose(attr);
    return read;
}

static bool read_number(hid_t object, const char *name, bool (*fits)(H5T_class_t), hid_t memory,
                        void *out)
{
    const hid_t attr = open_attribute(object, name);
    if (attr < 0)
        return false;
    const hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
    const bool read = fits(H5Tget_class(type)) && H5Sget_simple_extent_npoints(space) == 1 &&
                      H5Aread(attr, memory, out) >= 0;
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attr);
    return read;
}

static bool is_integer(H5T_class_t c) { return c == H5T_INTEGER; }
static bool is_numeric(H5T_class_t c) { return c == H5T_INTEGER || c == H5T_FLOAT; }

bool nl_h5_get_real(hid_t object, const char *name, double *out)
{
    return read_number(object, name, is_numeric, H5T_NATIVE_DOUBLE, out);
}

bool nl_h5_get_int(hid_t object, const char *name, int64_t *out)
{
    return read_number(object, name, is_integer, H5T_NATIVE_INT64, out);
}

const char *nl_h5_shape(const hsize_t *dim, int rank, char *buf, size_t room)
{
    nl_text t = {0};
    for (int i = 0; i < rank; i++)
        nl_text_add(&t, "%s%lld", i ? ", " : "", (long long)dim[i]);
    snprintf(buf, room, "(%s)", nl_text_of(&t));
    nl_text_free(&t);
    return buf;
}

nl_status nl_h5_check_run(hid_t file, const char *path)
{
    nl_text format = {0};
    int64_t schema = 0;
    const bool ours = nl_h5_get_text(file, "format", &format) &&
                      !strcmp(nl_text_of(&format), NL_RUN_FORMAT) &&
                      nl_h5_get_int(file, "schema_version", &schema);
    nl_text_free(&format);
    if (!ours)
        return nl_fail(NL_EFORMAT, "%s: is not a run file of normlab", path);
    if (schema != NL_RUN_SCHEMA)
        return nl_fail(NL_EFORMAT, "%s: has schema_version %lld, this normlab reads %d", path,
                       (long long)schema, NL_RUN_SCHEMA);
    if (!nl_h5_exists(file, "/committed") || !nl_h5_exists(file, "/timeline"))
        return nl_fail(NL_EFORMAT, "%s: the run was killed before its first row", path);
    return NL_OK;
}

int nl_h5_item_shape(const nl_item *it, hsize_t *dim)
{
    int rank = 0;
    if (it->steps != 1)
        dim[rank++] = (hsize_t)it->steps;
    if (it->decl->dim[0] != NL_1)
        dim[rank++] = (hsize_t)it->rows;
    if (it->decl->dim[1] != NL_1)
        dim[rank++] = (hsize_t)it->cols;
    if (!rank)
        dim[rank++] = (hsize_t)it->count;
    return rank;
}
