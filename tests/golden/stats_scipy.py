"""Values of SciPy for tests/unit/stats.c: /usr/bin/python3 stats_scipy.py > stats_scipy.inc

Every line is a row of a table that the test expands; numbers are printed so that they read back.
"""
import numpy as np
import scipy
from scipy import special, stats


def row(name, *values):
    print(f"{name}({', '.join('NAN' if v != v else repr(float(v)) for v in values)})")


def sample(values):
    return "VALUES(" + ", ".join(repr(float(v)) for v in values) + ")"


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
        tail = min(p, 1 - p)
        value = stats.t.ppf(tail, freedom)
        for _ in range(3):  # ppf alone is off by 1e-9 at 0.9995 with 1 degree of freedom
            value -= (stats.t.cdf(value, freedom) - tail) / stats.t.pdf(value, freedom)
        value = value if p < 0.5 else -value
        row("STUDENT_QUANTILE", p, freedom, value)
print("#endif\n#ifdef NORMAL")
for z in [-30, -8, -1.96, -0.1, 0, 0.5, 2, 7]:
    row("NORMAL_CDF", z, stats.norm.cdf(z))
for p in [1e-12, 0.001, 0.025, 0.5, 0.8, 0.975, 0.9999]:
    row("NORMAL_QUANTILE", p, stats.norm.ppf(p))
print("#endif\n#ifdef PAIRED")
random = np.random.default_rng(7)
for n in [2, 3, 5, 10, 24]:
    x, y = random.normal(0.9, 0.02, n).round(4), random.normal(0.89, 0.03, n).round(4)
    d = x - y
    mean, sd = d.mean(), d.std(ddof=1)
    low, high = stats.t.interval(0.95, n - 1, mean, sd / np.sqrt(n))
    print(f"PAIRED({sample(x)}, {sample(y)}, {mean!r}, {sd!r}, {low!r}, {high!r}, "
          f"{stats.ttest_rel(x, y).pvalue!r}, {np.median(d)!r})")
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
