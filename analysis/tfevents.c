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
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2 };

static void add_scalar(nl_text *summary, const char *folder, const char *title, double value)
{
    nl_text tag = {0}, scalar = {0};
    nl_text_add(&tag, "%s/%s", folder, title);
    add_bytes(&scalar, VALUE_TAG, nl_text_of(&tag), tag.used);
    add_float(&scalar, VALUE_SIMPLE, (float)value);
    add_bytes(summary, SUMMARY_VALUE, nl_text_of(&scalar), scalar.used);
    nl_text_free(&scalar);
    nl_text_free(&tag);
}

static void add_row(const nl_frame *f, int64_t row, double wall_time, nl_text *out)
{
    nl_text event = {0}, summary = {0};
    const double *at = f->at + row * f->columns;
    const char *title = nl_text_of(&f->titles);
    for (int64_t k = 1; k < f->columns; k++) {
        title += strlen(title) + 1;
        if (isfinite(at[k]))
            add_scalar(&summary, f->name, title, at[k]);
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
