#!/usr/bin/python3
"""Opens the page of a comparison in headless Chromium, as its reader would: every chart is drawn,
nothing is said on the console, filters by method, seed and layer take things away and bring them
back, charts can be saved as SVG, PNG and CSV, and everything is reached by keyboard. Silence means
pass; 77: not run.

    page.py PATH/OF/normlab
"""
import os
import subprocess
import sys
import tempfile

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

RUN = ("data=circles:train=200:val=50:test=100 model=mlp:hidden=8x2:act=tanh steps=60 batch=20 "
       "norm=none,batch,layer seeds=4 probe=ics:every=20,landscape:every=20,gap:every=20")
FLAGS = ("headless", "no-sandbox", "disable-gpu", "disable-background-networking",
         "disable-component-update", "disable-sync", "no-first-run", "window-size=1280,2000")
DRAW = "const done = arguments[0]; normlab.drawAll().then(() => done(normlab.problems))"
REFRESH = "const done = arguments[0]; normlab.refresh().then(() => normlab.drawAll()).then(done)"
EMPTY = """return [...document.querySelectorAll('figure')].filter((f) => !f.hidden).filter((f) => {
  const svg = f.querySelector('svg'), canvas = f.querySelector('canvas');
  return svg ? svg.querySelectorAll('path[d]').length < 4 : !(canvas && canvas.width > 50);
}).map((f) => f.textContent)"""
METHODS = """return [...new Set(normlab.figures.flatMap((f) =>
  normlab.specOf(f.chart).data.values.map((row) => row.method)))].sort()"""
SEEDS = "return normlab.specOf(normlab.figures.find((f) => f.chart.name === 'loss').chart).data.values[0].seeds"
VISIBLE = "return normlab.figures.filter((f) => !f.box.hidden).map((f) => f.chart.layer)"
MENU = "return [...document.querySelector('.vega-actions').children].map((a) => a.textContent)"


def open_browser(folder):
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"user-data-dir={folder}/chromium"):
        options.add_argument(f"--{flag}")
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def click(browser, label):
    browser.execute_script("""[...document.querySelectorAll('#filters label')]
        .find((l) => l.textContent === arguments[0]).querySelector('input').click()""", label)
    browser.execute_async_script(REFRESH)


def look(browser):
    """Yields what is wrong."""
    for problem in browser.execute_async_script(DRAW):
        yield f"not drawn: {problem}"
    for chart in browser.execute_script(EMPTY):
        yield f"nothing to see in: {chart}"
    if browser.execute_script(METHODS) != ["batch", "layer", "none"]:
        yield "not all methods are shown"
    if browser.execute_script(SEEDS) != 4:
        yield "not all seeds are shown"
    click(browser, "layer")
    if browser.execute_script(METHODS) != ["batch", "none"]:
        yield "a method that was switched off is shown"
    click(browser, "layer")
    click(browser, "3")
    if browser.execute_script(SEEDS) != 3:
        yield "a seed that was switched off is shown"
    click(browser, "3")
    browser.execute_script("""const s = document.querySelector('#filters select');
        s.value = 'h1'; s.dispatchEvent(new Event('change'))""")
    if set(browser.execute_script(VISIBLE)) != {"h1", ""}:
        yield "other layers than the chosen one are shown"
    if browser.execute_script(MENU) != ["Save as SVG", "Save as PNG", "Save as CSV"]:
        yield "a chart cannot be saved as SVG, PNG and CSV"
    if browser.execute_script("return document.querySelectorAll('#filters input, #filters select')"
                              ".length") != 3 + 4 + 1:
        yield "the filters are not form fields"
    for line in browser.get_log("browser"):
        yield f"console: {line['message']}"


program = os.path.abspath(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([program, "compare", *RUN.split(), f"out={folder}/runs"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    page = f"{folder}/runs/report.html"
    if "vegaEmbed" not in open(page, encoding="utf-8").read():
        print("skipped: this build has no charts (npm)")
        sys.exit(77)
    if not os.path.exists("/usr/bin/chromedriver"):
        print("skipped: no chromedriver")
        sys.exit(77)
    browser = open_browser(folder)
    try:
        browser.get(f"file://{page}")
        failures = list(look(browser))
    finally:
        browser.quit()
print(*failures, sep="\n", end="\n" if failures else "")
sys.exit(len(failures) != 0)
