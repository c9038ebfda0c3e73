#include <float.h>
#include <math.h>
#include <string.h>

#include "analysis/frames.h"

/* ---- TFRecord */

/* CRC-32C, reflected polynomial of Castagnoli, bit by bit: files are small. */
static uint32_t crc32c(const char *bytes, size_t count)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* TFRecord stores it turned and shifted, so that it may stand among the bytes it is of. */
static uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

static void add_little(nl_text *out, uint64_t value, int bytes)
{
    char at[8];
    for (int i = 0; i < bytes; i++)
        at[i] = (char)(value >> 8 * i);
    nl_text_add_bytes(out, at, (size_t)bytes);
}

static void add_record(nl_text *out, const nl_text *event)
{
    const size_t begin = out->used;
    add_little(out, event->used, 8);
    if (nl_text_status(out) == NL_OK)
        add_little(out, masked(crc32c(out->at + begin, 8)), 4);
    nl_text_add_bytes(out, nl_text_of(event), event->used);
    add_little(out, masked(crc32c(nl_text_of(event), event->used)), 4);
}

/* ---- Protocol buffers: field number and wire type, then the value */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void add_varint(nl_text *out, uint64_t value)
{
    char byte;
    for (; value >= 0x80; value >>= 7) {
        byte = (char)(value | 0x80);
        nl_text_add_bytes(out, &byte, 1);
    }
    byte = (char)value;
    nl_text_add_bytes(out, &byte, 1);
}

static void add_field(nl_text *out, int number, int type)
{
    add_varint(out, (uint64_t)(number << 3 | type));
}

static void add_bytes(nl_text *out, int number, const char *bytes, size_t count)
{
    add_field(out, number, BYTES);
    add_varint(out, count);
    nl_text_add_bytes(out, bytes, count);
}

static void add_double(nl_text *out, int number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_field(out, number, FIXED64);
    add_little(out, bits, 8);
}

static void add_float(nl_text *out, int number, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_field(out, number, FIXED32);
    add_little(out, bits, 4);
}

/* ---- Events: fields of tensorflow's event.proto and summary.proto */

enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_HISTOGRAM = 5 };
enum { MIN = 1, MAX, NUM, SUM, SUM_SQUARES, BUCKET_LIMIT, BUCKET }; /* of a histogram */

static void add_value(nl_text *summary, const nl_text *tag, const nl_text *value)
{
    nl_text whole = {0};
    add_bytes(&whole, VALUE_TAG, nl_text_of(tag), tag->used);
    nl_text_add_bytes(&whole, nl_text_of(value), value->used);
    add_bytes(summary, SUMMARY_VALUE, nl_text_of(&whole), whole.used);
    nl_text_free(&whole);
}

static void add_scalar(nl_text *summary, const char *folder, const char *title, double value)
{
    nl_text tag = {0}, scalar = {0};
    nl_text_add(&tag, "%s/%s", folder, title);
    add_float(&scalar, VALUE_SIMPLE, (float)value);
    add_value(summary, &tag, &scalar);
    nl_text_free(&scalar);
    nl_text_free(&tag);
}

/* Bins of a histogram: counts from lower edges on, the first of which is -infinity. */
typedef struct bins {
    const double *edge, *count;
    int64_t bins;
} bins;

static double upper_edge(const bins *b, int64_t k)
{
    return k + 1 < b->bins ? b->edge[k + 1] : DBL_MAX;
}

/* The edge that is nearer to 0; the middle bin's is 0. */
static double nearer_edge(const bins *b, int64_t k)
{
    const double to = upper_edge(b, k);
    return to <= 0 ? to : b->edge[k] >= 0 ? b->edge[k] : 0;
}

static void add_packed(nl_text *histogram, int number, const nl_text *doubles)
{
    add_bytes(histogram, number, nl_text_of(doubles), doubles->used);
}

static void pack(nl_text *doubles, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_little(doubles, bits, 8);
}

static void fill_histogram(nl_text *histogram, const bins *b)
{
    double num = 0, sum = 0, squares = 0, least = 0, most = 0;
    nl_text limits = {0}, counts = {0};
    for (int64_t k = 0; k < b->bins; k++) {
        const double at = nearer_edge(b, k);
        if (b->count[k] > 0) {
            least = num > 0 ? least : at;
            most = at;
        }
        num += b->count[k];
        sum += b->count[k] * at;
        squares += b->count[k] * at * at;
        pack(&limits, upper_edge(b, k));
        pack(&counts, b->count[k]);
    }
    add_double(histogram, MIN, least);
    add_double(histogram, MAX, most);
    add_double(histogram, NUM, num);
    add_double(histogram, SUM, sum);
    add_double(histogram, SUM_SQUARES, squares);
    add_packed(histogram, BUCKET_LIMIT, &limits);
    add_packed(histogram, BUCKET, &counts);
    nl_text_free(&limits);
    nl_text_free(&counts);
}

/* title: that of the first bin, "h1/preact/pre/counts[-inf]". */
static void add_histogram(nl_text *summary, const char *folder, const char *title, const bins *b)
{
    nl_text tag = {0}, histogram = {0}, value = {0};
    nl_text_add(&tag, "%s/%.*s", folder, (int)strcspn(title, "["), title);
    fill_histogram(&histogram, b);
    add_bytes(&value, VALUE_HISTOGRAM, nl_text_of(&histogram), histogram.used);
    add_value(summary, &tag, &value);
    nl_text_free(&value);
    nl_text_free(&histogram);
    nl_text_free(&tag);
}

/* Columns of the histogram that begins at column k. */
static bins bins_at(const nl_frame *f, const double *row, int64_t k)
{
    int64_t end = k + 1;
    while (end < f->columns && isfinite(f->edge[end]))
        end++;
    return (bins){f->edge + k, row + k, end - k};
}

static void add_row(const nl_frame *f, int64_t row, double wall_time, nl_text *out)
{
    nl_text event = {0}, summary = {0};
    const double *at = f->at + row * f->columns;
    const char *title = nl_text_of(&f->titles);
    for (int64_t k = 1; k < f->columns; k++) {
        title += strlen(title) + 1;
        if (isinf(f->edge[k]) && at[k] >= 0) {
            const bins b = bins_at(f, at, k);
            add_histogram(&summary, f->name, title, &b);
        } else if (isnan(f->edge[k]) && isfinite(at[k])) {
            add_scalar(&summary, f->name, title, at[k]);
        }
    }
    if (summary.used) {
        add_double(&event, EVENT_WALL_TIME, wall_time);
        add_field(&event, EVENT_STEP, VARINT);
        add_varint(&event, (uint64_t)at[0]);
        add_bytes(&event, EVENT_SUMMARY, nl_text_of(&summary), summary.used);
        add_record(out, &event);
    }
    nl_text_free(&summary);
    nl_text_free(&event);
}

void nl_frames_tfevents(const nl_frames *all, nl_text *out)
{
    static const char version[] = "brain.Event:2";
    const double whole = isnan(all->wall_seconds) ? 0 : all->wall_seconds;
    nl_text event = {0};
    add_double(&event, EVENT_WALL_TIME, 0);
    add_bytes(&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    add_record(out, &event);
    nl_text_free(&event);
    for (int64_t i = 0; i < all->count; i++)
        for (int64_t row = 0; row < all->at[i].rows; row++)
            add_row(&all->at[i], row, whole * (double)(row + 1) / (double)all->at[i].rows, out);
}
