/* runlog_scales.c: what names the places along dimensions, by the HDF5 Dimension Scale
 * Specification: a data set lists the scales of its dimensions (DIMENSION_LIST), a scale the
 * dimensions it names (REFERENCE_LIST). HDF5's own H5DSattach_scale writes that list again for each
 * of them; here it is written once, at begin. */
#include <hdf5_hl.h>
#include <string.h>

#include "base/alloc.h"
#include "io/h5.h"
#include "io/runlog_inner.h"

static herr_t point_at(hid_t set, hobj_ref_t *at)
{
    return H5Rcreate(at, set, ".", H5R_OBJECT, -1);
}

nl_status nl_log_make_scale(nl_log *log, hid_t set, const char *path)
{
    NL_TRY(nl_log_make_room(log, (void **)&log->scale, log->scales, &log->scale_room,
                            sizeof *log->scale));
    scale *s = &log->scale[log->scales++];
    *s = (scale){.path = nl_strdup(path)};
    if (!s->path)
        return nl_log_no_memory(log);
    /* netCDF and xarray call the dimension as the scale's own name. */
    if (H5DSset_scale(set, strrchr(path, '/') + 1) < 0 || point_at(set, &s->at) < 0)
        return nl_log_lost(log, "a scale cannot be made");
    return NL_OK;
}

int nl_log_find_scale(const nl_log *log, const char *path)
{
    for (int i = 0; i < log->scales; i++)
        if (!strcmp(log->scale[i].path, path))
            return i;
    return -1;
}

static herr_t add_list(hid_t set, const char *name, hid_t type, hsize_t count, const void *values)
{
    const hid_t space = H5Screate_simple(1, &count, NULL);
    const hid_t list = H5Acreate2(set, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const herr_t written = list < 0 ? -1 : H5Awrite(list, type, values);
    H5Sclose(space);
    return list < 0 || H5Aclose(list) < 0 ? -1 : written;
}

static herr_t list_scales(const nl_log *log, hid_t set, const int *scales, int rank)
{
    hvl_t list[H5S_MAX_RANK];
    for (int d = 0; d < rank; d++)
        list[d] = (hvl_t){.len = 1, .p = &log->scale[scales[d]].at};
    const hid_t type = H5Tvlen_create(H5T_STD_REF_OBJ);
    const herr_t written = add_list(set, "DIMENSION_LIST", type, (hsize_t)rank, list);
    H5Tclose(type);
    return written;
}

nl_status nl_log_attach(nl_log *log, hid_t set, const int *scales, int rank)
{
    named_dimension is;
    if (point_at(set, &is.set) < 0 || list_scales(log, set, scales, rank) < 0)
        return nl_log_lost(log, "scales cannot be attached");
    for (is.dim = 0; is.dim < rank; is.dim++) {
        scale *s = &log->scale[scales[is.dim]];
        NL_TRY(nl_log_make_room(log, (void **)&s->named, s->count, &s->room, sizeof *s->named));
        s->named[s->count++] = is;
    }
    return NL_OK;
}

static herr_t list_named(const nl_log *log, const scale *s, hid_t type)
{
    if (!s->count)
        return 0;
    const hid_t set = H5Dopen2(log->file, s->path, H5P_DEFAULT);
    if (set < 0)
        return -1;
    const herr_t written = add_list(set, "REFERENCE_LIST", type, (hsize_t)s->count, s->named);
    return H5Dclose(set) < 0 ? -1 : written;
}

nl_status nl_log_write_scales(nl_log *log)
{
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(named_dimension));
    herr_t written = H5Tinsert(type, "dataset", HOFFSET(named_dimension, set), H5T_STD_REF_OBJ);
    if (written >= 0)
        written = H5Tinsert(type, "dimension", HOFFSET(named_dimension, dim), H5T_NATIVE_INT);
    for (int i = 0; i < log->scales && written >= 0; i++)
        written = list_named(log, &log->scale[i], type);
    H5Tclose(type);
    return written < 0 ? nl_log_lost(log, "scales cannot be written") : NL_OK;
}

void nl_log_free_scales(nl_log *log)
{
    for (int i = 0; i < log->scales; i++) {
        nl_free(log->scale[i].path);
        nl_free(log->scale[i].named);
    }
    nl_free(log->scale);
}
