/* IDX files: what is read, and what is said about files that cannot be. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "core/idx.h"
#include "registry.h"
#include "suite.h"

enum { TRAIN = 12, TEST = 5, PIXELS = 28 * 28, HEAD = 16, LABEL_HEAD = 8 };

static char folder[64], path[128];

/* ---- files of our own: pixel p of image i is (31 i + p) mod 256, its label i mod 10 */

static size_t make_images(unsigned char *to, int count)
{
    const unsigned char head[HEAD] = {0, 0, 8, 3,  0, 0, 0, (unsigned char)count,
                                      0, 0, 0, 28, 0, 0, 0, 28};
    memcpy(to, head, HEAD);
    for (int i = 0; i < count * PIXELS; i++)
        to[HEAD + i] = (unsigned char)(31 * (i / PIXELS) + i % PIXELS);
    return HEAD + (size_t)count * PIXELS;
}

static size_t make_labels(unsigned char *to, int count)
{
    const unsigned char head[LABEL_HEAD] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)count};
    memcpy(to, head, LABEL_HEAD);
    for (int i = 0; i < count; i++)
        to[LABEL_HEAD + i] = (unsigned char)(i % 10);
    return LABEL_HEAD + (size_t)count;
}

static void put(const char *name, const void *bytes, size_t count)
{
    snprintf(path, sizeof path, "%s/mnist/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, count, f), count);
    fclose(f);
}

static void put_gz(const char *name, const void *bytes, size_t count)
{
    snprintf(path, sizeof path, "%s/mnist/%s", folder, name);
    gzFile f = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(f, bytes, (unsigned)count), (int)count);
    ck_assert_int_eq(gzclose(f), Z_OK);
}

static unsigned char bytes[HEAD + TRAIN * PIXELS];

static void put_all(void)
{
    put("train-images-idx3-ubyte", bytes, make_images(bytes, TRAIN));
    put("train-labels-idx1-ubyte", bytes, make_labels(bytes, TRAIN));
    put_gz("t10k-images-idx3-ubyte.gz", bytes, make_images(bytes, TEST));
    put_gz("t10k-labels-idx1-ubyte.gz", bytes, make_labels(bytes, TEST));
}

static void make_folder(void)
{
    use_registries();
    snprintf(folder, sizeof folder, "/tmp/normlab-idx-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/mnist", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    put_all();
}

static void remove_folder(void)
{
    static const char *const names[] = {"train-images-idx3-ubyte",   "train-labels-idx1-ubyte",
                                        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
                                        "t10k-images-idx3-ubyte",    "one"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        snprintf(path, sizeof path, "%s/mnist/%s", folder, names[k]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/mnist", folder);
    rmdir(path);
    rmdir(folder);
}

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    ck_assert_msg(nl_dataset_open(&d, spec, folder) == NL_OK, "%s", nl_last_error());
    return d;
}

/* The message with which opening fails; nothing may stay allocated. */
static const char *refusal(const char *spec)
{
    nl_dataset *d;
    const long live = nl_alloc_live();
    ck_assert_int_ne(nl_dataset_open(&d, spec, folder), NL_OK);
    ck_assert_ptr_null(d);
    ck_assert_int_eq(nl_alloc_live(), live);
    ck_assert_ptr_null(strchr(nl_last_error(), '\n'));
    return nl_last_error();
}

#define ck_says(message, part) \
    ck_assert_msg(strstr((message), (part)) != NULL, "'%s' lacks '%s'", nl_last_error(), (part))

static double raw(int i, int p) { return (unsigned char)(31 * i + p); }

/* ---- reading */

START_TEST(pixels_become_their_255th_part)
{
    nl_dataset *d = opened("mnist");
    ck_assert_int_eq(d->train.count, TRAIN);
    ck_assert_int_eq(d->test.count, TEST);
    ck_assert_int_eq(d->val.count, 0);
    ck_assert_int_eq(d->shape.s * d->shape.c, PIXELS);
    ck_assert_int_eq(d->shape.h, 28);
    for (int i = 0; i < TRAIN; i++) {
        ck_assert_int_eq(d->train.label[i], i % 10);
        for (int p = 0; p < PIXELS; p++)
            ck_assert_double_eq(d->train.x[i * PIXELS + p], (nl_real)(raw(i, p) / 255.0));
    }
    ck_assert_double_eq(d->test.x[PIXELS], (nl_real)(31 / 255.0));
    nl_dataset_close(d);
}
END_TEST

START_TEST(images_are_sequences_of_rows_or_of_pixels)
{
    nl_dataset *d = opened("mnist"), *rows = opened("mnist_rows"), *pixels = opened("mnist_pixels");
    ck_assert_int_eq(rows->shape.s, 28);
    ck_assert_int_eq(rows->shape.c, 28);
    ck_assert_int_eq(pixels->shape.s, PIXELS);
    ck_assert_int_eq(pixels->shape.c, 1);
    ck_assert_int_eq(rows->shape.h, 0);
    ck_assert_mem_eq(rows->train.x, d->train.x, TRAIN * PIXELS * sizeof(nl_real));
    ck_assert_mem_eq(pixels->test.x, d->test.x, TEST * PIXELS * sizeof(nl_real));
    nl_dataset_close(d);
    nl_dataset_close(rows);
    nl_dataset_close(pixels);
}
END_TEST

START_TEST(relatives_of_mnist_lie_in_folders_of_their_own)
{
    static const char *const names[] = {"fashion_mnist", "kmnist"};
    nl_dataset *digits = opened("mnist");
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        ck_assert_int_eq(symlink("mnist", path), 0);
        nl_dataset *d = opened(names[k]);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_str_eq(d->ops->name, names[k]);
        ck_assert_uint_eq(d->checksum, digits->checksum);
        nl_dataset_close(d);
    }
    nl_dataset_close(digits);
}
END_TEST

/* Pixel p of image i is (31 i + p) mod 256: one order of all shifts every step by the same. */
START_TEST(pixels_come_in_one_random_order_of_all_of_them)
{
    nl_dataset *d = opened("mnist_permuted:standardize=none");
    nl_dataset *drawn = opened("mnist_permuted:standardize=none:replacement=true");
    nl_dataset *other = opened("mnist_permuted:standardize=none:order_seed=1");
    int seen[256] = {0}, wanted[256] = {0}, moved = 0, drawn_seen[256] = {0};
    for (int p = 0; p < PIXELS; p++) {
        seen[(int)d->train.x[p]]++;
        drawn_seen[(int)drawn->train.x[p]]++;
        wanted[p % 256]++;
        moved += d->train.x[p] != (nl_real)(p % 256);
        for (int i = 0; i < TEST; i++)
            ck_assert_int_eq((int)d->test.x[i * PIXELS + p], ((int)d->train.x[p] + 31 * i) % 256);
    }
    ck_assert_mem_eq(seen, wanted, sizeof seen);
    ck_assert_mem_ne(drawn_seen, wanted, sizeof seen);
    ck_assert_int_gt(moved, PIXELS / 2);
    ck_assert(d->checksum != other->checksum);
    nl_dataset_close(d);
    nl_dataset_close(drawn);
    nl_dataset_close(other);
}
END_TEST

START_TEST(validation_examples_are_the_last_ones_of_the_training_set)
{
    nl_dataset *d = opened("mnist:train=4:val=3:test=2:standardize=none");
    ck_assert_int_eq(d->train.count, 4);
    ck_assert_int_eq(d->val.count, 3);
    ck_assert_int_eq(d->test.count, 2);
    ck_assert_double_eq(d->train.x[3 * PIXELS], raw(3, 0));
    ck_assert_double_eq(d->val.x[0], raw(TRAIN - 3, 0));
    ck_assert_int_eq(d->val.label[2], (TRAIN - 1) % 10);
    nl_dataset_close(d);
    d = opened("mnist:val=3");
    ck_assert_int_eq(d->train.count, TRAIN - 3);
    nl_dataset_close(d);
}
END_TEST

START_TEST(validation_fraction_cuts_where_keras_cuts)
{
    nl_dataset *d = opened("mnist:val_fraction=0.1:standardize=none"); /* floor(12 * 0.9) = 10 */
    ck_assert_int_eq(d->train.count, 10);
    ck_assert_int_eq(d->val.count, 2);
    ck_assert_double_eq(d->val.x[0], raw(10, 0));
    nl_dataset_close(d);
    d = opened("mnist:train=8:val_fraction=0.25:standardize=none");
    ck_assert_int_eq(d->train.count, 6);
    ck_assert_double_eq(d->val.x[0], raw(6, 0));
    nl_dataset_close(d);
}
END_TEST

START_TEST(more_examples_than_there_are_is_refused)
{
    ck_assert_str_eq(refusal("mnist:train=10:val=3"),
                     "mnist: 10 training and 3 validation examples wanted, there are 12");
    ck_assert_str_eq(refusal("mnist:test=6"), "mnist: 6 test examples wanted, there are 5");
    ck_says(refusal("mnist:val=12"), "12 validation examples wanted");
    ck_says(refusal("mnist:val=1:val_fraction=0.5"), "val=1 and val_fraction=0.5 are both given");
    ck_says(refusal("mnist:train=-1"), "outside [0");
    ck_says(refusal("mnist:trian=1"), "did you mean 'train'?");
}
END_TEST

START_TEST(unknown_data_sets_are_named_with_a_hint)
{
    ck_assert_str_eq(refusal("mnits"), "no data set called 'mnits'; did you mean 'mnist'? (see: "
                                       "normlab datasets)");
    ck_assert_str_eq(refusal("elephants"),
                     "no data set called 'elephants' (see: normlab datasets)");
}
END_TEST

START_TEST(global_moments_come_from_the_training_part_alone)
{
    nl_dataset *d = opened("mnist:train=6:val=2:standardize=global");
    double sum = 0, square = 0, mean = 0;
    for (int i = 0; i < 6; i++)
        for (int p = 0; p < PIXELS; p++)
            mean += raw(i, p) / (6 * PIXELS);
    for (int64_t i = 0; i < 6 * PIXELS; i++) {
        sum += d->train.x[i];
        square += d->train.x[i] * d->train.x[i];
    }
    ck_assert_double_eq_tol(sum / (6 * PIXELS), 0, 1e-6);
    ck_assert_double_eq_tol(square / (6 * PIXELS), 1, 1e-5);
    const double scale = (d->train.x[1] - d->train.x[0]) / (raw(0, 1) - raw(0, 0));
    ck_assert_double_eq_tol(d->test.x[PIXELS + 5], (raw(1, 5) - mean) * scale, 1e-4);
    nl_dataset_close(d);
}
END_TEST

START_TEST(each_feature_is_standardized_and_constant_ones_become_zero)
{
    nl_dataset *d = opened("mnist:standardize=feature:train=1");
    for (int p = 0; p < PIXELS; p++)
        ck_assert_double_eq(d->train.x[p], 0);
    nl_dataset_close(d);
    d = opened("mnist:standardize=feature");
    for (int p = 0; p < PIXELS; p++) {
        double sum = 0, square = 0;
        for (int i = 0; i < TRAIN; i++) {
            const double v = d->train.x[i * PIXELS + p];
            sum += v;
            square += v * v;
        }
        ck_assert_double_eq_tol(sum / TRAIN, 0, 1e-6);
        ck_assert_double_eq_tol(square / TRAIN, 1, 1e-5);
    }
    nl_dataset_close(d);
}
END_TEST

START_TEST(binary_pixels_are_zero_or_one)
{
    nl_dataset *d = opened("mnist:binary=0.5");
    for (int p = 0; p < PIXELS; p++)
        ck_assert_double_eq(d->train.x[p], raw(0, p) > 127.5 ? 1 : 0);
    nl_dataset_close(d);
}
END_TEST

START_TEST(sorting_by_label_is_stable)
{
    nl_dataset *d = opened("mnist:sort=true:standardize=none");
    static const int from[TRAIN] = {0, 10, 1, 11, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int i = 0; i < TRAIN; i++) {
        ck_assert_int_eq(d->train.label[i], from[i] % 10);
        for (int p = 0; p < PIXELS; p++)
            ck_assert_double_eq(d->train.x[i * PIXELS + p], raw(from[i], p));
    }
    nl_dataset_close(d);
}
END_TEST

START_TEST(checksum_follows_the_content)
{
    static const char *const specs[] = {"mnist",           "mnist:train=11",   "mnist:test=4",
                                        "mnist:sort=true", "mnist:binary=0.5", "mnist:val=1"};
    enum { SPECS = sizeof specs / sizeof *specs };
    uint64_t sums[SPECS];
    for (int k = 0; k < SPECS; k++) {
        nl_dataset *d = opened(specs[k]);
        sums[k] = d->checksum;
        nl_dataset_close(d);
        for (int j = 0; j < k; j++)
            ck_assert_uint_ne(sums[j], sums[k]);
    }
    make_images(bytes, TRAIN);
    bytes[HEAD + 5 * PIXELS + 77] ^= 1;
    put("train-images-idx3-ubyte", bytes, HEAD + TRAIN * PIXELS);
    nl_dataset *d = opened("mnist");
    ck_assert_uint_ne(d->checksum, sums[0]);
    nl_dataset_close(d);
    put_all();
    d = opened("mnist:train=12:test=5");
    ck_assert_uint_eq(d->checksum, sums[0]);
    nl_dataset_close(d);
}
END_TEST

START_TEST(canonical_spec_shows_the_defaults)
{
    nl_text t = {0};
    ck_assert_int_eq(nl_dataset_canonical("mnist:val=1e3", &t), NL_OK);
    ck_assert_str_eq(nl_text_of(&t), "mnist:train=0:val=1000:val_fraction=0:test=0:standardize=unit"
                                     ":sort=false:binary=0");
    nl_text_free(&t);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    nl_dataset *d;
    const long live = nl_alloc_live();
    for (long k = 0;; k++) {
        nl_alloc_fail_at(k);
        const nl_status st = nl_dataset_open(&d, "mnist:sort=true:standardize=feature", folder);
        nl_alloc_fail_at(-1);
        if (st == NL_OK)
            break;
        ck_assert_int_eq(st, NL_ENOMEM);
        ck_assert_int_eq(nl_alloc_live(), live);
    }
    nl_dataset_close(d);
    ck_assert_int_eq(nl_alloc_live(), live);
}
END_TEST

/* ---- files that cannot be read */

static const char *refused_file(const void *content, size_t count, int dims)
{
    nl_idx f;
    const long live = nl_alloc_live();
    put("one", content, count);
    ck_assert_int_ne(nl_idx_read(&f, path, dims), NL_OK);
    ck_assert_int_eq(nl_alloc_live(), live);
    ck_says(nl_last_error(), path);
    return nl_last_error();
}

START_TEST(plain_files_cut_at_any_length_are_refused)
{
    const size_t count = make_images(bytes, 2);
    for (size_t n = 0; n < count; n += n < 64 || n > count - 64 ? 1 : 37)
        ck_says(refused_file(bytes, n, 3), "truncated");
    const size_t labels = make_labels(bytes, 12);
    for (size_t n = 0; n < labels; n++)
        ck_says(refused_file(bytes, n, 1), "truncated");
}
END_TEST

static size_t compressed(unsigned char *to, size_t room)
{
    put_gz("one", bytes, make_images(bytes, 2));
    FILE *f = fopen(path, "rb");
    const size_t n = fread(to, 1, room, f);
    fclose(f);
    return n;
}

START_TEST(gzip_files_cut_at_any_length_are_refused)
{
    unsigned char gz[4096];
    const size_t count = compressed(gz, sizeof gz);
    ck_assert_uint_lt(count, sizeof gz);
    for (size_t n = 0; n < count; n++)
        refused_file(gz, n, 3);
}
END_TEST

START_TEST(gzip_files_with_any_wrong_bit_are_refused_or_read_the_same)
{
    unsigned char gz[4096], good[HEAD + 2 * PIXELS];
    const size_t count = compressed(gz, sizeof gz);
    make_images(good, 2);
    for (size_t n = 0; n < count; n++) {
        nl_idx f;
        gz[n] = (unsigned char)(gz[n] ^ 1 << n % 8);
        put("one", gz, count);
        if (nl_idx_read(&f, path, 3) == NL_OK) { /* a header field or a padding bit */
            ck_assert_mem_eq(f.bytes, good + HEAD, 2 * PIXELS);
            nl_idx_free(&f);
        }
        gz[n] = (unsigned char)(gz[n] ^ 1 << n % 8);
    }
}
END_TEST

START_TEST(a_wrong_sum_at_the_end_of_a_gzip_file_is_corrupt)
{
    unsigned char gz[4096];
    const size_t count = compressed(gz, sizeof gz);
    gz[count - 6] ^= 1;
    ck_says(refused_file(gz, count, 3), "incorrect data check");
}
END_TEST

START_TEST(files_with_more_than_their_header_says_are_refused)
{
    const size_t count = make_labels(bytes, 3);
    bytes[count] = 0;
    ck_says(refused_file(bytes, count + 1, 1), "longer than the 3 bytes (3) of its header");
}
END_TEST

START_TEST(wrong_magic_numbers_are_named)
{
    const size_t count = make_labels(bytes, 3);
    ck_says(refused_file(bytes, count, 3), "magic number 0x00000801, wanted 0x00000803 (unsigned "
                                           "bytes in 3 dimensions)");
    bytes[2] = 0x0d;
    ck_says(refused_file(bytes, count, 1), "magic number 0x00000d01, wanted 0x00000801");
}
END_TEST

START_TEST(sizes_beyond_the_file_take_no_memory)
{
    size_t count = make_images(bytes, 1);
    memset(bytes + 4, 0xff, 12);
    ck_says(refused_file(bytes, count, 3), "cannot hold the 4294967295 x 4294967295 x 4294967295");
    count = make_images(bytes, 0);
    ck_says(refused_file(bytes, count, 3), "size 0 in dimension 1");
}
END_TEST

START_TEST(missing_files_name_the_folder)
{
    snprintf(path, sizeof path, "%s/mnist/train-labels-idx1-ubyte", folder);
    unlink(path);
    ck_says(refusal("mnist"),
            "neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz is in");
    ck_says(nl_last_error(), folder);
    ck_says(refusal("kmnist"), "/kmnist (NORMLAB_DATA names the data folder)");
    put_all();
}
END_TEST

START_TEST(images_and_labels_must_fit)
{
    put("train-labels-idx1-ubyte", bytes, make_labels(bytes, TRAIN - 1));
    ck_says(refusal("mnist"),
            "train-labels-idx1-ubyte: 11 labels, wanted 12 as there are images in");
    const size_t count = make_labels(bytes, TRAIN);
    bytes[LABEL_HEAD + 7] = 10;
    put("train-labels-idx1-ubyte", bytes, count);
    ck_says(refusal("mnist"), "train-labels-idx1-ubyte: label 10 of example 7, wanted 0 .. 9");
    put_all();
    make_images(bytes, 2);
    bytes[11] = 14;
    bytes[15] = 14;
    put("t10k-images-idx3-ubyte", bytes, HEAD + 2 * 14 * 14);
    ck_says(refusal("mnist"), "t10k-images-idx3-ubyte: images of 14 x 14, wanted 28 x 28");
    unlink(path);
}
END_TEST

/* ---- the real one */

START_TEST(mnist_is_what_it_should_be)
{
    static const int64_t histogram[10] = {5923, 6742, 5958, 6131, 5842,
                                          5421, 5918, 6265, 5851, 5949};
    nl_dataset *d;
    int64_t seen[10] = {0};
    if (!getenv("NORMLAB_DATA")) {
        puts("skipped: the real MNIST, NORMLAB_DATA is not set");
        return;
    }
    ck_assert_msg(nl_dataset_open(&d, "mnist:standardize=none", NULL) == NL_OK, "%s",
                  nl_last_error());
    ck_assert_int_eq(d->train.count, 60000);
    ck_assert_int_eq(d->test.count, 10000);
    for (int i = 0; i < 60000; i++)
        seen[d->train.label[i]]++;
    for (int k = 0; k < 10; k++)
        ck_assert_int_eq(seen[k], histogram[k]);
    double sum = 0;
    for (int64_t i = 0; i < 60000 * PIXELS; i++)
        sum += d->train.x[i];
    ck_assert_double_eq_tol(sum / (60000.0 * PIXELS) / 255, 0.1306604762738429, 1e-12);
    ck_assert_int_eq(d->train.label[0], 5);
    ck_assert_int_eq(d->test.label[0], 7);
    ck_assert_double_eq(d->train.x[5 * 28 + 12], 3); /* the first image's first grey pixels */
    ck_assert_double_eq(d->train.x[5 * 28 + 13], 18);
    nl_dataset_close(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("idx");
    TCase *t = tcase_create("all");
    tcase_add_unchecked_fixture(t, make_folder, remove_folder);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, pixels_become_their_255th_part);
    tcase_add_test(t, images_are_sequences_of_rows_or_of_pixels);
    tcase_add_test(t, relatives_of_mnist_lie_in_folders_of_their_own);
    tcase_add_test(t, pixels_come_in_one_random_order_of_all_of_them);
    tcase_add_test(t, validation_examples_are_the_last_ones_of_the_training_set);
    tcase_add_test(t, validation_fraction_cuts_where_keras_cuts);
    tcase_add_test(t, more_examples_than_there_are_is_refused);
    tcase_add_test(t, unknown_data_sets_are_named_with_a_hint);
    tcase_add_test(t, global_moments_come_from_the_training_part_alone);
    tcase_add_test(t, each_feature_is_standardized_and_constant_ones_become_zero);
    tcase_add_test(t, binary_pixels_are_zero_or_one);
    tcase_add_test(t, sorting_by_label_is_stable);
    tcase_add_test(t, checksum_follows_the_content);
    tcase_add_test(t, canonical_spec_shows_the_defaults);
    tcase_add_test(t, every_allocation_may_fail);
    tcase_add_test(t, plain_files_cut_at_any_length_are_refused);
    tcase_add_test(t, gzip_files_cut_at_any_length_are_refused);
    tcase_add_test(t, gzip_files_with_any_wrong_bit_are_refused_or_read_the_same);
    tcase_add_test(t, a_wrong_sum_at_the_end_of_a_gzip_file_is_corrupt);
    tcase_add_test(t, files_with_more_than_their_header_says_are_refused);
    tcase_add_test(t, wrong_magic_numbers_are_named);
    tcase_add_test(t, sizes_beyond_the_file_take_no_memory);
    tcase_add_test(t, missing_files_name_the_folder);
    tcase_add_test(t, images_and_labels_must_fit);
    tcase_add_test(t, mnist_is_what_it_should_be);
    suite_add_tcase(s, t);
    return run_suite(s);
}
