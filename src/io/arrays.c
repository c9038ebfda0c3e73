#include "io/arrays.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "io/h5.h"

enum { NAME_ROOM = 128 };

struct nl_arrays {
    hid_t file;
    char path[512], name[NAME_ROOM];
};

const char *const nl_array_kinds[] = {"float32", "float64", "whole numbers", "another type"};

const char *nl_array_print(const nl_array_shape *s, char *buf, size_t room)
{
    hsize_t dim[NL_ARRAY_RANK_MAX];
    for (int k = 0; k < s->rank; k++)
        dim[k] = (hsize_t)s->dim[k];
    return nl_h5_shape(dim, s->rank, buf, room);
}

static nl_status open_file(nl_arrays **out, const char *path, bool create)
{
    *out = NULL;
    nl_arrays *a = nl_alloc(1, sizeof *a);
    if (!a)
        return nl_fail(NL_ENOMEM, "%s: opening it", path);
    nl_h5_start();
    snprintf(a->path, sizeof a->path, "%s", path);
    const hid_t access = nl_h5_access();
    a->file = create ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access)
                     : H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (a->file < 0) {
        nl_free(a);
        return nl_h5_fail(path, create ? "making it" : "opening it");
    }
    *out = a;
    return NL_OK;
}

nl_status nl_arrays_open(nl_arrays **out, const char *path) { return open_file(out, path, false); }

nl_status nl_arrays_create(nl_arrays **out, const char *path) { return open_file(out, path, true); }

nl_status nl_arrays_close(nl_arrays *a)
{
    nl_status st = NL_OK;
    if (a && H5Fclose(a->file) < 0)
        st = nl_h5_fail(a->path, "closing it");
    nl_free(a);
    return st;
}

const char *nl_arrays_name(nl_arrays *a, int64_t i)
{
    const ssize_t n = H5Lget_name_by_idx(a->file, "/", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i,
                                         a->name, sizeof a->name, H5P_DEFAULT);
    return n < 0 ? NULL : a->name;
}

bool nl_arrays_has(nl_arrays *a, const char *name)
{
    return H5Lexists(a->file, name, H5P_DEFAULT) > 0;
}

static int kind_of(hid_t set)
{
    const hid_t type = H5Dget_type(set);
    const H5T_class_t class = H5Tget_class(type);
    const size_t bytes = H5Tget_size(type);
    H5Tclose(type);
    if (class == H5T_FLOAT && (bytes == sizeof(float) || bytes == sizeof(double)))
        return bytes == sizeof(float) ? NL_ARRAY_FLOAT : NL_ARRAY_DOUBLE;
    return class == H5T_INTEGER || class == H5T_ENUM ? NL_ARRAY_WHOLE : NL_ARRAY_OTHER;
}

static nl_status read_shape(const nl_arrays *a, hid_t set, const char *name, nl_array_shape *out)
{
    hsize_t dim[H5S_MAX_RANK];
    const hid_t space = H5Dget_space(set);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dim, NULL);
    if (space >= 0)
        H5Sclose(space);
    if (rank < 0)
        return nl_h5_fail(a->path, name);
    if (rank > NL_ARRAY_RANK_MAX)
        return nl_fail(NL_ESHAPE, "%s: %s has %d dimensions, at most %d", a->path, name, rank,
                       NL_ARRAY_RANK_MAX);
    *out = (nl_array_shape){.rank = rank, .count = 1};
    for (int k = 0; k < rank; k++) {
        out->dim[k] = (int64_t)dim[k];
        out->count *= out->dim[k];
    }
    out->kind = kind_of(set);
    return NL_OK;
}

nl_status nl_arrays_shape(nl_arrays *a, const char *name, nl_array_shape *out)
{
    if (!nl_arrays_has(a, name))
        return nl_fail(NL_EFORMAT, "%s: has no array '%s'", a->path, name);
    const hid_t set = H5Dopen2(a->file, name, H5P_DEFAULT);
    if (set < 0)
        return nl_fail(NL_EFORMAT, "%s: '%s' is not an array", a->path, name);
    const nl_status st = read_shape(a, set, name, out);
    H5Dclose(set);
    return st;
}

nl_status nl_arrays_read(nl_arrays *a, const char *name, nl_vartype type, void *to)
{
    const hid_t set = H5Dopen2(a->file, name, H5P_DEFAULT);
    herr_t done = -1;
    if (set >= 0) {
        done = H5Dread(set, nl_h5_memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, to);
        H5Dclose(set);
    }
    return done < 0 ? nl_h5_fail(a->path, name) : NL_OK;
}

nl_status nl_arrays_write(nl_arrays *a, const char *name, nl_vartype type, int rank,
                          const int64_t *dim, const void *from)
{
    hsize_t extent[NL_ARRAY_RANK_MAX];
    for (int k = 0; k < rank; k++)
        extent[k] = (hsize_t)dim[k];
    const hid_t space = H5Screate_simple(rank, extent, NULL);
    const hid_t set = H5Dcreate2(a->file, name, nl_h5_file_type(type), space, H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT);
    herr_t done = -1;
    if (set >= 0) {
        done = H5Dwrite(set, nl_h5_memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, from);
        H5Dclose(set);
    }
    H5Sclose(space);
    return done < 0 ? nl_h5_fail(a->path, name) : NL_OK;
}
