#include "io/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "core/lookup.h"
#include "io/file.h"
#include "io/h5.h"

#define FORMAT "normlab checkpoint"
enum { FORMAT_VERSION = 1, GROWTH = 1 << 20 /* bytes the file in memory grows by */ };

/* One data set and where its values live. */
typedef struct part {
    char path[256];
    hsize_t dim[NL_H5_RANK_MAX];
    int rank;
    nl_vartype type;
    size_t bytes;
    void *at;
    char *staged; /* when loading: in the one block of parts */
} part;

typedef struct parts {
    part *at;
    int count;
    size_t bytes; /* of all values, each rounded up to NL_ALIGN */
    char *block;
} parts;

void nl_checkpoint_free(nl_checkpoint *c)
{
    nl_text_free(&c->spec);
    nl_text_free(&c->hash);
    nl_text_free(&c->cpu);
}

/* ---- the walk, the same for both ways */

static void add_part(parts *p, const nl_item *it, const char *root, void *at)
{
    part *d = &p->at[p->count++];
    snprintf(d->path, sizeof d->path, "%s/%s/%s", root, it->owner, it->decl->name);
    d->rank = nl_h5_item_shape(it, d->dim);
    d->type = it->decl->type;
    d->bytes = (size_t)it->count * nl_type_bytes(d->type);
    d->at = at;
    p->bytes += (d->bytes + NL_ALIGN - 1) / NL_ALIGN * NL_ALIGN;
}

static void add_slot(parts *p, nl_store *store, const nl_slot *slot)
{
    char root[64];
    snprintf(root, sizeof root, "/optim/%s", slot->name);
    for (int i = 0; i < nl_store_count(store); i++) {
        const nl_item *it = nl_store_at(store, i);
        if (it->decl->role == NL_PARAM && it->count)
            add_part(p, it, root, slot->slab + it->at);
    }
}

static nl_status list_parts(parts *p, nl_store *store, const nl_slot *slots, int slot_count)
{
    const int items = nl_store_count(store);
    p->at = nl_alloc((size_t)items * (size_t)(1 + slot_count), sizeof *p->at);
    if (!p->at)
        return nl_fail(NL_ENOMEM, "checkpoint: no memory for its list of %d variables", items);
    for (int i = 0; i < items; i++) {
        const nl_item *it = nl_store_at(store, i);
        if (it->count && it->decl->role == NL_PARAM)
            add_part(p, it, "/params", it->val);
        if (it->count && it->decl->role == NL_STATE)
            add_part(p, it, "/state", it->val);
    }
    for (int k = 0; k < slot_count; k++)
        add_slot(p, store, &slots[k]);
    return NL_OK;
}

static void free_parts(parts *p)
{
    nl_free(p->at);
    nl_free(p->block);
}

static int64_t checksum(const void *bytes, size_t count)
{
    return (int64_t)crc32_z(0, bytes, count);
}

/* ---- saving */

/* In memory, in the oldest format: the header of later ones has a checksum, which
 * H5Fget_file_image of HDF5 1.10 does not renew when it clears the mark of being open. */
static hid_t create_in_memory(void)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = nl_h5_creation(H5P_FILE_CREATE);
    hid_t file = -1;
    if (H5Pset_fapl_core(access, GROWTH, 0) >= 0)
        file = H5Fcreate("checkpoint", H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return file;
}

static herr_t write_head(hid_t file, const nl_checkpoint *c)
{
    const hsize_t dim = NL_CHECKPOINT_CARRY;
    if (nl_h5_set_text(file, "format", FORMAT) < 0 ||
        nl_h5_set_int(file, "format_version", FORMAT_VERSION) < 0 ||
        nl_h5_set_text(file, "precision", NL_PRECISION) < 0 ||
        nl_h5_set_int(file, "step", c->step) < 0 || nl_h5_set_int(file, "epoch", c->epoch) < 0 ||
        nl_h5_set_int(file, "batch", c->batch) < 0 ||
        nl_h5_set_int(file, "numerics", c->numerics) < 0 ||
        nl_h5_set_text(file, "spec", nl_text_of(&c->spec)) < 0 ||
        nl_h5_set_text(file, "hash", nl_text_of(&c->hash)) < 0 ||
        nl_h5_set_text(file, "cpu", nl_text_of(&c->cpu)) < 0)
        return -1;
    const hid_t space = H5Screate_simple(1, &dim, NULL);
    const hid_t carry = H5Acreate2(file, "carry", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Sclose(space);
    const herr_t written = H5Awrite(carry, H5T_NATIVE_DOUBLE, c->carry);
    return H5Aclose(carry) < 0 ? -1 : written;
}

static herr_t write_part(hid_t file, const part *d)
{
    if (nl_h5_make_groups(file, d->path) < 0)
        return -1;
    const hid_t space = H5Screate_simple(d->rank, d->dim, NULL);
    const hid_t creation = nl_h5_creation(H5P_DATASET_CREATE);
    const hid_t set = H5Dcreate2(file, d->path, nl_h5_file_type(d->type), space, H5P_DEFAULT,
                                 creation, H5P_DEFAULT);
    H5Pclose(creation);
    H5Sclose(space);
    if (set < 0)
        return -1;
    const bool written =
        H5Dwrite(set, nl_h5_memory_type(d->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, d->at) >= 0 &&
        nl_h5_set_int(set, "crc32", checksum(d->at, d->bytes)) >= 0;
    return H5Dclose(set) < 0 || !written ? -1 : 0;
}

static nl_status write_image(const char *path, hid_t file)
{
    const ssize_t bytes =
        H5Fflush(file, H5F_SCOPE_LOCAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    if (bytes < 0)
        return nl_h5_fail(path, "cannot be prepared");
    void *image = nl_alloc((size_t)bytes, 1);
    if (!image)
        return nl_fail(NL_ENOMEM, "%s: no memory for its %lld bytes", path, (long long)bytes);
    nl_status st = H5Fget_file_image(file, image, (size_t)bytes) < 0
                       ? nl_h5_fail(path, "cannot be prepared")
                       : nl_file_replace(path, image, (size_t)bytes);
    nl_free(image);
    return st;
}

nl_status nl_checkpoint_save(const char *path, const nl_checkpoint *c, nl_store *store,
                             const nl_slot *slots, int slot_count)
{
    parts p = {0};
    nl_h5_start();
    hid_t file = -1;
    nl_status st;
    nl_lookup_read_all(store);
    NL_GO(list_parts(&p, store, slots, slot_count));
    file = create_in_memory();
    bool written = file >= 0 && write_head(file, c) >= 0;
    for (int i = 0; i < p.count && written; i++)
        written = write_part(file, &p.at[i]) >= 0;
    st = written ? write_image(path, file) : nl_h5_fail(path, "cannot be prepared");
done:
    if (file >= 0)
        H5Fclose(file);
    free_parts(&p);
    return st;
}

/* ---- loading */

static nl_status open_checkpoint(const char *path, hid_t *file)
{
    nl_h5_start();
    if (access(path, R_OK) != 0)
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (*file < 0)
        return nl_fail(NL_EFORMAT, "%s: is not an HDF5 file, or truncated or damaged", path);
    nl_text format = {0};
    int64_t version = 0;
    const bool ours = nl_h5_get_text(*file, "format", &format) &&
                      !strcmp(nl_text_of(&format), FORMAT) &&
                      nl_h5_get_int(*file, "format_version", &version);
    nl_text_free(&format);
    nl_status st = NL_OK;
    if (!ours)
        st = nl_fail(NL_EFORMAT, "%s: is not a checkpoint of normlab", path);
    else if (version != FORMAT_VERSION)
        st = nl_fail(NL_EFORMAT, "%s: has format_version %lld, this normlab reads %d", path,
                     (long long)version, FORMAT_VERSION);
    if (st != NL_OK)
        H5Fclose(*file);
    return st;
}

static bool read_carry(hid_t file, double *carry)
{
    if (H5Aexists(file, "carry") <= 0)
        return false;
    const hid_t attr = H5Aopen(file, "carry", H5P_DEFAULT), space = H5Aget_space(attr);
    const bool read = H5Sget_simple_extent_npoints(space) == NL_CHECKPOINT_CARRY &&
                      H5Aread(attr, H5T_NATIVE_DOUBLE, carry) >= 0;
    H5Sclose(space);
    H5Aclose(attr);
    return read;
}

static nl_status read_head(const char *path, hid_t file, nl_checkpoint *c)
{
    nl_checkpoint head = {0};
    const bool whole =
        nl_h5_get_int(file, "step", &head.step) && nl_h5_get_int(file, "epoch", &head.epoch) &&
        nl_h5_get_int(file, "batch", &head.batch) &&
        nl_h5_get_int(file, "numerics", &head.numerics) &&
        nl_h5_get_text(file, "spec", &head.spec) && nl_h5_get_text(file, "hash", &head.hash) &&
        nl_h5_get_text(file, "cpu", &head.cpu) && read_carry(file, head.carry);
    if (!whole || head.spec.failed || head.hash.failed || head.cpu.failed) {
        nl_checkpoint_free(&head);
        return whole ? nl_fail(NL_ENOMEM, "%s: no memory to read it", path)
                     : nl_fail(NL_EFORMAT, "%s: lacks an attribute of its head", path);
    }
    nl_checkpoint_free(c);
    *c = head;
    return NL_OK;
}

nl_status nl_checkpoint_peek(const char *path, nl_checkpoint *c)
{
    hid_t file;
    NL_TRY(open_checkpoint(path, &file));
    nl_status st = read_head(path, file, c);
    H5Fclose(file);
    return st;
}

static nl_status check_precision(const char *path, hid_t file)
{
    nl_text precision = {0};
    nl_status st = NL_OK;
    if (!nl_h5_get_text(file, "precision", &precision) ||
        strcmp(nl_text_of(&precision), NL_PRECISION) != 0)
        st = nl_fail(NL_ESHAPE, "%s: was written with precision '%s', this program has '%s'", path,
                     nl_text_of(&precision), NL_PRECISION);
    nl_text_free(&precision);
    return st;
}

static bool has_type(hid_t set, hid_t wanted)
{
    const hid_t type = H5Dget_type(set);
    const bool same = H5Tequal(type, wanted) > 0;
    H5Tclose(type);
    return same;
}

static nl_status check_shape(const char *path, hid_t set, const part *d)
{
    hsize_t dim[H5S_MAX_RANK] = {0};
    char has[100], wants[100];
    const hid_t space = H5Dget_space(set);
    const int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    H5Sclose(space);
    const bool same = rank == d->rank && !memcmp(dim, d->dim, (size_t)rank * sizeof *dim);
    if (same && has_type(set, nl_h5_file_type(d->type)))
        return NL_OK;
    return nl_fail(NL_ESHAPE, "%s: %s is %s%s, the model wants %s", path, d->path,
                   nl_h5_shape(dim, rank, has, sizeof has), same ? " of another type" : "",
                   nl_h5_shape(d->dim, d->rank, wants, sizeof wants));
}

static nl_status read_values(const char *path, hid_t set, const part *d)
{
    int64_t wanted = -1;
    NL_TRY(check_shape(path, set, d));
    if (H5Dread(set, nl_h5_memory_type(d->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, d->staged) < 0 ||
        !nl_h5_get_int(set, "crc32", &wanted) || wanted != checksum(d->staged, d->bytes))
        return nl_fail(NL_EFORMAT, "%s: %s is damaged", path, d->path);
    return NL_OK;
}

static nl_status read_part(const char *path, hid_t file, const part *d)
{
    char wants[100];
    if (!nl_h5_exists(file, d->path))
        return nl_fail(NL_ESHAPE, "%s: has no %s, the model wants %s", path, d->path,
                       nl_h5_shape(d->dim, d->rank, wants, sizeof wants));
    const hid_t set = H5Dopen2(file, d->path, H5P_DEFAULT);
    if (set < 0)
        return nl_fail(NL_EFORMAT, "%s: %s is damaged", path, d->path);
    nl_status st = read_values(path, set, d);
    H5Dclose(set);
    return st;
}

struct search {
    const parts *p;
    bool with_optim;
    char path[256], shape[100];
};

/* Stops at the first data set that nobody asked for. */
static herr_t find_unknown(hid_t file, const char *name, const H5O_info_t *info, void *arg)
{
    struct search *s = arg;
    if (info->type != H5O_TYPE_DATASET || (!s->with_optim && !strncmp(name, "optim/", 6)))
        return 0;
    for (int i = 0; i < s->p->count; i++)
        if (!strcmp(s->p->at[i].path + 1, name))
            return 0;
    hsize_t dim[H5S_MAX_RANK] = {0};
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    const int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    snprintf(s->path, sizeof s->path, "/%s", name);
    nl_h5_shape(dim, rank, s->shape, sizeof s->shape);
    H5Sclose(space);
    H5Dclose(set);
    return 1;
}

static nl_status check_known(const char *path, hid_t file, const parts *p, bool with_optim)
{
    struct search s = {.p = p, .with_optim = with_optim};
    const herr_t found =
        H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, find_unknown, &s, H5O_INFO_BASIC);
    if (found < 0)
        return nl_fail(NL_EFORMAT, "%s: is damaged", path);
    if (found > 0)
        return nl_fail(NL_ESHAPE, "%s: has %s of %s, which the model has not", path, s.path,
                       s.shape);
    return NL_OK;
}

static nl_status stage(const char *path, hid_t file, parts *p)
{
    p->block = nl_alloc(p->bytes, 1);
    if (!p->block)
        return nl_fail(NL_ENOMEM, "%s: no memory to read it", path);
    size_t at = 0;
    for (int i = 0; i < p->count; i++) {
        p->at[i].staged = p->block + at;
        at += (p->at[i].bytes + NL_ALIGN - 1) / NL_ALIGN * NL_ALIGN;
        NL_TRY(read_part(path, file, &p->at[i]));
    }
    return NL_OK;
}

nl_status nl_checkpoint_load(const char *path, nl_checkpoint *c, nl_store *store,
                             const nl_slot *slots, int slot_count)
{
    hid_t file;
    parts p = {0};
    NL_TRY(open_checkpoint(path, &file));
    nl_status st;
    NL_GO(check_precision(path, file));
    NL_GO(list_parts(&p, store, slots, slot_count));
    NL_GO(stage(path, file, &p));
    NL_GO(check_known(path, file, &p, slot_count > 0));
    NL_GO(read_head(path, file, c));
    for (int i = 0; i < p.count; i++)
        memcpy(p.at[i].at, p.at[i].staged, p.at[i].bytes);
done:
    H5Fclose(file);
    free_parts(&p);
    return st;
}
