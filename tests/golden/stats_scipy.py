"""Values of SciPy for tests/unit/stats.c: /usr/bin/python3 stats_scipy.py > stats_scipy.inc

Every line is a row of a table that the test expands; numbers are printed so that they read back.
"""
import warnings

import mpmath
import numpy as np
import scipy
from scipy import special, stats

import philox

warnings.simplefilter("ignore")
mpmath.mp.dps = 30
STATISTICS = 11  # NL_STREAM_STATISTICS


def row(name, *values):
    print(f"{name}({', '.join('NAN' if v != v else repr(float(v)) for v in values)})")


def sample(values):
    return "VALUES(" + ", ".join(repr(float(v)) for v in values) + ")"


def student_quantile(p, freedom):
    """ppf alone is off by 1e-9 at 1 degree of freedom."""
    tail = min(p, 1 - p)
    value = stats.t.ppf(tail, freedom)
    for _ in range(3):
        value -= (stats.t.cdf(value, freedom) - tail) / stats.t.pdf(value, freedom)
    return value if p < 0.5 else -value


print(f"/* SciPy {scipy.__version__}, NumPy {np.__version__}: made by stats_scipy.py */")

print("#ifdef LOG_GAMMA")
for x in [1e-8, 0.1, 0.5, 1, 1.5, 2, 2.5, 7, 11.999, 12, 40.25, 1e3, 1e7]:
    row("LOG_GAMMA", x, special.gammaln(x))
print("#endif\n#ifdef LOG_BETA")
for a, b in [(0.5, 0.5), (1, 1), (2, 0.5), (5, 20), (14, 0.5), (300, 0.5), (1e4, 0.5), (50, 60), (1e-3, 30)]:
    row("LOG_BETA", a, b, special.betaln(a, b))
print("#endif\n#ifdef BETA")
for a, b in [(0.5, 0.5), (1, 3), (2, 0.5), (5, 20), (50, 0.5), (500, 400), (2e4, 0.5)]:
    for x in [0, 1e-12, 0.01, 0.25, 0.5, 0.75, 0.99, 1]:
        row("BETA", a, b, x, special.betainc(a, b, x))
print("#endif\n#ifdef STUDENT_CDF")
for freedom in [0.5, 1, 2, 2.5, 4, 9, 30, 200, 1e4, 1e6]:
    for t in [-1e3, -12, -2.5, -1e-3, 0, 0.3, 1, 4.3, 40]:
        row("STUDENT_CDF", t, freedom, stats.t.cdf(t, freedom))
print("#endif\n#ifdef STUDENT_QUANTILE")
for freedom in [1, 2, 3, 4, 9, 30, 200, 1e5]:
    for p in [1e-6, 0.005, 0.025, 0.05, 0.4, 0.9, 0.975, 0.9995]:
        row("STUDENT_QUANTILE", p, freedom, student_quantile(p, freedom))
print("#endif\n#ifdef NORMAL")
for z in [-30, -8, -1.96, -0.1, 0, 0.5, 2, 7]:
    row("NORMAL_CDF", z, stats.norm.cdf(z))
for p in [1e-12, 0.001, 0.025, 0.5, 0.8, 0.975, 0.9999]:
    row("NORMAL_QUANTILE", p, stats.norm.ppf(p))
print("#endif\n#ifdef GAMMA")
for a in [0.5, 1, 2.5, 10, 200]:
    for x in [0, 1e-6, 0.3, 1, 3.4, 12, 190, 260]:
        row("GAMMA", a, x, special.gammaincc(a, x))
print("#endif\n#ifdef TAILS")
for freedom in [1, 2, 4, 9, 60]:
    for x in [0, 0.05, 1, 3.84, 20, 200]:
        row("CHI_SQUARE", x, freedom, stats.chi2.sf(x, freedom))
for numerator, denominator in [(1, 1), (3, 12), (9, 45), (2, 2000)]:
    for x in [0, 0.2, 1, 3.4, 30]:
        row("F", x, numerator, denominator, stats.f.sf(x, numerator, denominator))
for successes, trials in [(0, 5), (3, 6), (8, 25), (12, 12), (40, 100)]:
    row("SIGN", successes, trials, stats.binom.cdf(successes, trials, 0.5))


def noncentral(t, f, shift):
    """P(T > t) by its defining integral; SciPy 1.10 has only some 8 digits of it."""
    t, f, shift = map(mpmath.mpf, (t, f, shift))
    front = 2 * (f / 2) ** (f / 2) / mpmath.gamma(f / 2)
    return mpmath.quad(lambda u: front * u ** (f - 1) * mpmath.exp(-f * u * u / 2) * mpmath.ncdf(shift - t * u),
                       [0, 0.2, 0.5, 0.8, 1, 1.2, 1.5, 2, 3, 5, 9])


for freedom in [1, 2, 4, 9, 29, 99]:
    for t, shift in [(2.2, 1.5), (2.8, 0), (2.5, -1), (2, 4), (12.7, 20)]:
        row("NONCENTRAL", t, freedom, shift, noncentral(t, freedom, shift))


def studentized_range(q, k):
    return k * mpmath.quad(lambda z: mpmath.npdf(z) * (mpmath.ncdf(z) - mpmath.ncdf(z - q)) ** (k - 1),
                           [-12, -4, -2, 0, 2, 4, 12])


for k in [2, 3, 5, 10, 40]:
    for q in [1, 2, 3, 4.5, 7]:
        ours = studentized_range(mpmath.mpf(q), k)
        assert abs(ours - stats.studentized_range.cdf(q, k, np.inf)) < 1e-8
        row("RANGE", q, k, ours)
print("#endif\n#ifdef DATA")


def interquartile(d):
    """Tukey and McLaughlin 1963: what Yuen's test, scipy.stats.ttest_ind(trim=0.25), has a side."""
    n, cut = len(d), len(d) // 4
    if n < 2 or np.ptp(d) == 0:
        return d[0], *[d[0] if n > 1 else np.nan] * 2
    kept = n - 2 * cut
    winsorized = np.asarray(stats.mstats.winsorize(d, (cut / n, cut / n)))
    error = np.sqrt(winsorized.var(ddof=1) * (n - 1) / kept / (kept - 1))
    middle = stats.trim_mean(d, 0.25)
    reach = student_quantile(0.975, kept - 1) * error
    return middle, middle - reach, middle + reach


def median(d):
    """Hettmansperger and Sheather 1986, eq. 1, on scipy.stats.binom."""
    n, d = len(d), np.sort(d)
    level = lambda k: 1 - 2 * stats.binom.cdf(k - 1, n, 0.5)
    if level(1) < 0.9374:
        return np.median(d), np.nan, np.nan
    k = max([j for j in range(1, n // 2 + 1) if level(j) >= 0.95], default=1)
    share = 0
    if level(k) > 0.95:
        i = (level(k) - 0.95) / (level(k) - level(k + 1))
        share = (n - k) * i / (k + (n - 2 * k) * i)
    between = lambda a, b: (1 - share) * d[a] + share * d[b]
    return np.median(d), between(k - 1, k), between(n - k, n - k - 1)


def flips(d):
    patterns = 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1) - 1
    sums = np.abs(patterns @ d)
    exact = np.mean(sums >= abs(d.sum()) * (1 - 1e-12))
    if 1 < len(d) < 9:  # SciPy's own, which is slow
        theirs = stats.permutation_test((d,), lambda x, axis: x.sum(axis), permutation_type="samples",
                                        n_resamples=np.inf, vectorized=True)
        assert abs(theirs.pvalue - exact) < 1e-12
    return exact


def data(x, y):
    x, y = np.asarray(x, float), np.asarray(y, float)
    d, n = x - y, len(x)
    sd = d.std(ddof=1) if n > 1 else np.nan
    if n > 1 and np.ptp(d) > 0:
        reach = student_quantile(0.975, n - 1) * sd / np.sqrt(n)
        low, high = d.mean() - reach, d.mean() + reach
        p = stats.ttest_rel(x, y).pvalue
    else:  # equal differences: no spread; the p of the sign test stands for that of t
        low = high = d[0] if n > 1 else np.nan
        sd = 0 if n > 1 else np.nan
        p = np.nan if n < 2 else stats.binomtest(n, n).pvalue if d[0] else 1
    signed_rank = np.nan
    if np.any(d):
        nonzero = d[d != 0]
        ties = len(set(np.abs(nonzero))) < len(nonzero)
        signed_rank = stats.wilcoxon(nonzero, mode="exact" if len(nonzero) <= 25 else "approx").pvalue
        if ties and len(nonzero) <= 25:  # SciPy's exact test knows no ties: all patterns
            ranks = stats.rankdata(np.abs(nonzero))
            patterns = 2 * (np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks)) & 1) - 1
            signed_rank = np.mean(np.abs(patterns @ ranks) >= abs(np.sign(nonzero) @ ranks))
    above = stats.mannwhitneyu(x, y).statistic / n / n
    values = [d.mean() if sd else d[0], sd, low, high, p, *interquartile(d), *median(d),
              flips(d) if n <= 20 else np.nan, signed_rank, above]
    print(f"DATA({sample(x)}, {sample(y)}, {', '.join('NAN' if v != v else repr(float(v)) for v in values)})")


random = np.random.default_rng(7)
for n in [2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30]:
    data(random.normal(0.9, 0.02, n).round(4), random.normal(0.89, 0.03, n).round(4))
data([0.97], [0.95])  # one seed
data([0.1] * 5, [0.1] * 5)  # all diverged: chance on both sides
data([0.75, 0.75, 0.75], [0.5, 0.5, 0.5])  # equal differences
data([0.98, 0.98, 0.97, 0.98], [0.1, 0.1, 0.1, 0.1])  # one side diverged
data([0.5, 0.75, 0.5, 0.25, 1], [0.5, 0.5, 0.75, 0.25, 0.5])  # ties and zeros
data([1e-9, 3e-9, 2e-9, 5e-9, 7e-9, 4e-9], [2e-9, 1e-9, 4e-9, 1e-9, 2e-9, 8e-9])
data([2e6 + 1, 2e6 + 2, 2e6 + 5, 2e6 + 4], [2e6, 2e6 + 3, 2e6 + 1, 2e6 + 2])
data(random.gamma(0.5, 1, 12).round(3), random.gamma(0.5, 2, 12).round(3))  # heavy tail
print("#endif\n#ifdef BOOTSTRAP")


def statistics():
    """Rounded, so that estimates that are equal on paper are equal."""
    mean = lambda *groups, axis=-1: np.mean([np.mean(g, axis) for g in groups], 0)
    median = lambda *groups, axis=-1: (np.median(groups[0], axis) if len(groups) == 1 else
                                       np.median([np.mean(g, axis) for g in groups], 0))
    middle = lambda *groups, axis=-1: stats.trim_mean(np.concatenate(groups, axis), 0.25, axis)
    rounded = lambda f: lambda *groups, axis=-1: f(*groups, axis=axis).round(13)
    return {"mean": rounded(mean), "median": rounded(median), "interquartile_mean": rounded(middle)}


def resamples(groups, count):
    first, drawn = 0, []
    for g in groups:
        index = first + np.arange(len(g))
        drawn.append(g[philox.below(0, STATISTICS, np.arange(count)[:, None], index[None], len(g))])
        first += len(g)
    return drawn


def bootstrap(groups, count=1000):
    groups = [np.asarray(g, float) for g in groups]
    drawn = resamples(groups, count)
    n = sum(map(len, groups))
    for name, f in statistics().items():
        estimates = f(*drawn)
        before = stats._resampling.BootstrapResult(None, estimates, estimates.std(ddof=1))
        bca = stats.bootstrap(groups, f, n_resamples=0, bootstrap_result=before, method="BCa", vectorized=True,
                              batch=count).confidence_interval
        error = estimates.std(ddof=1) * np.sqrt(n / (n - len(groups)))
        print(f"BOOTSTRAP({name}, {sample(np.concatenate(groups))}, {sample(map(len, groups))}, "
              f"{float(f(*groups))!r}, {float(bca.low)!r}, {float(bca.high)!r}, {float(error)!r})")


bootstrap([random.normal(0.9, 0.02, 5).round(4)])
bootstrap([random.gamma(2, 1, 12).round(3)])
bootstrap([random.normal(m, 0.02, 6).round(4) for m in (0.9, 0.8, 0.97)])
bootstrap([random.normal(0.9, 0.02, n).round(4) for n in (3, 7, 10, 4)])
print("#endif\n#ifdef FRIEDMAN")
for tasks, methods, digits in [(3, 3, 3), (6, 4, 3), (10, 5, 3), (8, 3, 1)]:
    x = random.normal(0.9, 0.1, (tasks, methods)).round(digits)
    ranks = stats.rankdata(-x, axis=1).mean(0)
    chi, p = stats.friedmanchisquare(*x.T)
    f = (tasks - 1) * chi / (tasks * (methods - 1) - chi)
    q = mpmath.findroot(lambda q: studentized_range(q, methods) - mpmath.mpf("0.95"), 3.3)
    cd = float(q) / np.sqrt(2) * np.sqrt(methods * (methods + 1) / 6 / tasks)
    values = ", ".join(repr(float(v)) for v in (chi, p, f, stats.f.sf(f, methods - 1, (methods - 1) * (tasks - 1)), cd))
    print(f"FRIEDMAN({sample(x.ravel())}, {tasks}, {methods}, {sample(ranks)}, {values})")
print("#endif\n#ifdef SMALLEST")
for n in [2, 3, 5, 10, 30]:
    f, t = n - 1, stats.t.ppf(0.975, n - 1)
    power = lambda d: noncentral(t, f, d * mpmath.sqrt(n)) + noncentral(t, f, -d * mpmath.sqrt(n)) - mpmath.mpf("0.8")
    row("SMALLEST", n, mpmath.findroot(power, (0.5, 30 / n), solver="anderson", tol=1e-18))
print("#endif\n#ifdef WILCOXON")
for n in [1, 3, 5, 6, 12, 25]:
    d = random.normal(0.4, 1, n).round(6)
    print(f"WILCOXON({sample(d)}, {stats.wilcoxon(d, mode='exact').pvalue!r})")
print("#endif\n#ifdef QUANTILE")
for n in [1, 2, 7]:
    x = np.sort(random.normal(size=n).round(3))
    for p in [0, 0.05, 0.5, 0.77, 1]:
        print(f"QUANTILE({sample(x)}, {p!r}, {float(np.quantile(x, p))!r})")
print("#endif")
