/* glyphs: digits drawn by rule, 28 x 28, grey. A form is a few strokes through points of a box;
 * every example displaces the points, turns, shears, scales and moves the form, draws it with a pen
 * of its own width and softness and adds noise. An example depends on the seed, its split and its
 * index alone: it is the same however many are asked for. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "core/dataset.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, DIGITS = 10, FORMS = 3, STROKES = 3, POINTS = 12 };
enum { CUTS = 4, SEGMENTS = 64 }; /* straight pieces between two points; of a whole form */

typedef struct glyphs {
    nl_dataset_common common;
    double variation, noise;
    int64_t seed;
} glyphs;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(glyphs, "20000", "4000", 1, "unit"),
    NL_OPT(glyphs, variation, "1", 0, 2, "how far points, slant, size and place vary"),
    NL_OPT(glyphs, noise, "0.1", 0, 1, "largest change of a pixel by noise, of full brightness"),
    NL_OPT(glyphs, seed, "0", 0, 1e15, "which examples are drawn; no part of the run's seed"),
    NL_OPT_END};

/* ---- the digits: a box 100 high, y downwards. A stroke names its points by letter and bends
 * smoothly through them; one that ends where it began is closed; corners are where two meet. */

typedef struct form {
    const char *stroke[STROKES];
    struct {
        int x, y;
    } at[POINTS];
} form;

// clang-format off
#define FIVE {76, 2}, {30, 2}, {24, 44}, {52, 38}, {78, 58}, {72, 88}, {44, 100}, {18, 88}
#define LOOPS {50, 47}, {74, 24}, {50, 0}, {26, 24}, {78, 74}, {50, 100}, {22, 74}
#define NINE {76, 26}, {54, 0}, {26, 18}, {30, 46}, {56, 52}
static const form forms[DIGITS][FORMS] = {
    {{{"abcdefa"}, {{50, 0}, {82, 28}, {82, 72}, {50, 100}, {18, 72}, {18, 28}}}},
    {{{"abc"}, {{54, 0}, {51, 50}, {48, 100}}},
     {{"ab", "bcd"}, {{28, 24}, {54, 0}, {52, 50}, {50, 100}}},
     {{"ab", "bcd", "edf"}, {{30, 22}, {52, 0}, {51, 50}, {50, 98}, {26, 100}, {76, 99}}}},
    {{{"abcdefg", "gh"},
      {{20, 22}, {32, 4}, {55, 0}, {76, 16}, {72, 42}, {48, 68}, {20, 100}, {82, 98}}},
     {{"abcdefghij"}, {{20, 20}, {42, 1}, {70, 12}, {70, 40}, {46, 74}, {25, 96}, {14, 86},
                       {30, 79}, {56, 94}, {86, 96}}}},
    {{{"abcde", "efghi"}, {{20, 12}, {45, 0}, {74, 14}, {70, 36}, {42, 47}, {74, 58}, {80, 80},
                           {52, 100}, {18, 88}}},
     {{"ab", "bc", "cdefg"}, {{22, 2}, {76, 2}, {44, 42}, {74, 54}, {78, 78}, {52, 100},
                              {18, 88}}}},
    {{{"ba", "bc", "cd"}, {{62, 100}, {62, 0}, {14, 66}, {88, 66}}},
     {{"ab", "bc", "def"}, {{26, 2}, {20, 54}, {84, 52}, {70, 8}, {66, 54}, {62, 100}}}},
    {{{"ab", "bc", "cdefgh"}, {FIVE}},
     {{"abc", "cdefgh"}, {FIVE}}},
    {{{"abcdefghi"}, {{68, 0}, {38, 20}, {20, 62}, {34, 94}, {60, 98}, {78, 76}, {62, 52},
                      {38, 58}, {24, 78}}}},
    {{{"ab", "bcd"}, {{18, 2}, {82, 2}, {56, 48}, {40, 100}}},
     {{"ab", "bcd", "ef"}, {{18, 2}, {82, 2}, {58, 48}, {40, 100}, {34, 52}, {76, 50}}}},
    {{{"cdaefgabc"}, {LOOPS}},
     {{"cdabc", "aefga"}, {LOOPS}}},
    {{{"abcdea", "afg"}, {NINE, {74, 62}, {64, 100}}},
     {{"abcdea", "afgh"}, {NINE, {74, 70}, {54, 99}, {26, 90}}}},
};
// clang-format on

/* ---- one example: points, strokes, pixels */

/* The draws of an example; points and noise take the indices from there on. */
enum {
    DRAW_DIGIT,
    DRAW_FORM,
    DRAW_TURN,
    DRAW_SHEAR,
    DRAW_WIDTH,
    DRAW_HEIGHT,
    DRAW_X,
    DRAW_Y,
    DRAW_PEN,
    DRAW_EDGE,
    DRAW_INK,
    DRAW_POINT = 16,
    DRAW_NOISE = 64
};

typedef struct point {
    float x, y;
} point;

typedef struct segment {
    point from, to;
} segment;

typedef struct drawing {
    point at[POINTS]; /* in pixels */
    segment segment[SEGMENTS];
    int segments;
    float pen, edge, ink; /* half the width of the line, half that of its edge; brightness */
} drawing;

static double spread(nl_key key, int draw, double middle, double by)
{
    return middle + by * (2 * nl_random_uniform(key, (uint64_t)draw) - 1);
}

static const form *choose_form(nl_key key, int digit)
{
    int count = 1;
    while (count < FORMS && forms[digit][count].stroke[0])
        count++;
    return &forms[digit][nl_random_below(key, DRAW_FORM, count)];
}

/* Points of the form, each displaced, in pixels of the turned, sheared and scaled box. */
static void place_points(drawing *d, const form *f, nl_key key, double variation)
{
    const double turn = spread(key, DRAW_TURN, 0, 0.32 * variation);
    const double shear = spread(key, DRAW_SHEAR, 0.1, 0.32 * variation);
    const double width = spread(key, DRAW_WIDTH, 18.5, 4.5 * variation);
    const double height = spread(key, DRAW_HEIGHT, 18, 3.5 * variation);
    const double x = spread(key, DRAW_X, 13.5, 2.15 * variation);
    const double y = spread(key, DRAW_Y, 13.5, 2.15 * variation);
    for (int k = 0; k < POINTS; k++) {
        const uint64_t draw = DRAW_POINT + 2 * (uint64_t)k;
        const double down =
            f->at[k].y / 100. - 0.5 + 0.048 * variation * nl_random_normal(key, draw);
        const double right = f->at[k].x / 100. - 0.5 +
                             0.048 * variation * nl_random_normal(key, draw + 1) - shear * down;
        d->at[k].x = (float)(x + cos(turn) * width * right - sin(turn) * height * down);
        d->at[k].y = (float)(y + sin(turn) * width * right + cos(turn) * height * down);
    }
}

/* Catmull and Rom's cubic: from b to c, in the directions of a to c and b to d. */
static float bend(float a, float b, float c, float d, float t)
{
    return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

static void trace_stroke(drawing *d, const char *stroke)
{
    const int last = (int)strlen(stroke) - 1;
    const bool closed = stroke[0] == stroke[last];
    for (int k = 0; k < last; k++) {
        const point *b = &d->at[stroke[k] - 'a'], *c = &d->at[stroke[k + 1] - 'a'];
        const point *before = k > 0 ? &d->at[stroke[k - 1] - 'a'] : b;
        const point *after = k + 2 <= last ? &d->at[stroke[k + 2] - 'a'] : c;
        if (closed && k == 0)
            before = &d->at[stroke[last - 1] - 'a'];
        if (closed && k + 1 == last)
            after = &d->at[stroke[1] - 'a'];
        point from = *b;
        for (int cut = 1; cut <= CUTS; cut++) {
            const float t = (float)cut / CUTS;
            const point to = {bend(before->x, b->x, c->x, after->x, t),
                              bend(before->y, b->y, c->y, after->y, t)};
            d->segment[d->segments++] = (segment){from, to};
            from = to;
        }
    }
}

static float clamp(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }

/* First and one past the last pixel within reach of a and b. */
static int first_pixel(float a, float b, float reach)
{
    return (int)clamp(ceilf(fminf(a, b) - reach), 0, SIDE);
}

static int end_pixel(float a, float b, float reach)
{
    return (int)clamp(floorf(fmaxf(a, b) + reach) + 1, 0, SIDE);
}

/* near[] becomes the square of the distance to the segment where that is less. */
static void approach(float near[PIXELS], const segment *s, float reach)
{
    const float dx = s->to.x - s->from.x, dy = s->to.y - s->from.y;
    const float square = fmaxf(dx * dx + dy * dy, 1e-6f);
    const int left = first_pixel(s->from.x, s->to.x, reach);
    const int right = end_pixel(s->from.x, s->to.x, reach);
    for (int i = first_pixel(s->from.y, s->to.y, reach); i < end_pixel(s->from.y, s->to.y, reach);
         i++)
        for (int j = left; j < right; j++) {
            const float x = (float)j - s->from.x, y = (float)i - s->from.y;
            const float t = clamp((x * dx + y * dy) / square, 0, 1);
            const float ex = x - t * dx, ey = y - t * dy, d = ex * ex + ey * ey;
            near[i * SIDE + j] = d < near[i * SIDE + j] ? d : near[i * SIDE + j];
        }
}

/* Brightness 0 .. 1, falling smoothly from pen - edge to pen + edge. */
static void lay_ink(const drawing *d, float pixel[PIXELS])
{
    const float reach = d->pen + d->edge;
    for (int k = 0; k < PIXELS; k++)
        pixel[k] = reach * reach;
    for (int k = 0; k < d->segments; k++)
        approach(pixel, &d->segment[k], reach);
    for (int k = 0; k < PIXELS; k++) {
        const float t = clamp((reach - sqrtf(pixel[k])) / (2 * d->edge), 0, 1);
        pixel[k] = d->ink * t * t * (3 - 2 * t);
    }
}

/* Whole numbers 0 .. 255, so that both builds hold the same values. */
static void write_pixels(const float pixel[PIXELS], nl_key key, float noise, nl_real *x)
{
    for (int k = 0; k < PIXELS; k += 4) {
        const uint32_t word = nl_random_u32(key, DRAW_NOISE + (uint64_t)k);
        for (int j = 0; j < 4; j++) {
            const float swing = (float)(word >> 8 * j & 255) / 127.5f - 1;
            x[k + j] = (nl_real)rintf(255 * clamp(pixel[k + j] + noise * swing, 0, 1));
        }
    }
}

static void draw_example(const glyphs *o, nl_key key, int digit, nl_real *x)
{
    drawing d = {.pen = (float)spread(key, DRAW_PEN, 1.3, 0.5),
                 .edge = (float)spread(key, DRAW_EDGE, 0.8, 0.3),
                 .ink = (float)spread(key, DRAW_INK, 0.85, 0.15)};
    float pixel[PIXELS];
    const form *f = choose_form(key, digit);
    place_points(&d, f, key, o->variation);
    for (int k = 0; k < STROKES && f->stroke[k]; k++)
        trace_stroke(&d, f->stroke[k]);
    lay_ink(&d, pixel);
    write_pixels(pixel, key, (float)o->noise, x);
}

static void fill(const glyphs *o, nl_split *to, int64_t first, unsigned part)
{
    for (int64_t i = 0; i < to->count; i++) {
        const nl_key key = {(uint64_t)o->seed, NL_STREAM_DATA, 2 * (uint64_t)(first + i) + part};
        to->label[i] = (int32_t)nl_random_below(key, DRAW_DIGIT, DIGITS);
        draw_example(o, key, to->label[i], to->x + i * PIXELS);
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const glyphs *o = self;
    nl_cut cut;
    (void)dir;
    NL_TRY(nl_dataset_cut(&o->common, out->ops->name, NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    out->shape = (nl_shape){.s = 1, .c = PIXELS, .h = SIDE, .w = SIDE};
    out->classes = DIGITS;
    out->target = 0.90;
    out->hi = 255;
    NL_TRY(nl_dataset_room(out, &cut));
    fill(o, &out->train, 0, 0);
    fill(o, &out->val, cut.val_at, 0);
    fill(o, &out->test, 0, 1);
    return NL_OK;
}

const nl_dataset_ops nl_dataset_glyphs = {
    NL_DATASET_HEADER,
    .name = "glyphs",
    .title = "drawn digits, any number of 28 x 28 (synthetic)",
    .synthetic = true,
    .self_size = sizeof(glyphs),
    .options = options,
    .load = load,
};
