#!/usr/bin/python3
"""Opens the pages of a comparison and of a sweep in headless Chromium, as their reader would: every
chart is drawn and shows something, nothing is said on the console, filters by method, seed, layer
and task take things away and bring them back, charts can be saved as SVG, PNG and CSV, filters obey
the keyboard, and the page can be printed. Silence means pass; 77: not run.

    page.py PATH/OF/normlab           the test
    page.py PATH/OF/normlab --time    the seconds that 50 charts of 2,000 points take
"""
import base64
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.keys import Keys
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

RUN = ("data=circles:train=200:val=50:test=100 model=mlp:hidden=8x2:act=tanh steps=60 batch=20 "
       "norm=none,batch,layer seeds=4 probe=ics:every=20,landscape:every=20,gap:every=20 "
       "log=histograms,gradients,cosine,population")
SWEEP = ("data=circles:train=200:test=100 model=mlp:hidden=8 steps=20 batch=20 norm=none,batch "
         "optimizer=sgd:lr=0.1,sgd:lr=0.3 seeds=2")
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
SHOWN = """const f = normlab.figures.filter((f) => !f.box.hidden);
return [[...new Set(f.map((f) => f.chart.task))], f.length]"""
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
    find_filter(browser, "layer").send_keys(Keys.SPACE)
    browser.execute_async_script(REFRESH)
    if browser.execute_script(METHODS) != ["batch", "none"]:
        yield "a filter does not obey the keyboard"
    find_filter(browser, "layer").send_keys(Keys.SPACE)
    if browser.execute_script("return document.querySelectorAll('#filters input, #filters select')"
                              ".length") != 3 + 4 + 1:
        yield "the filters are not form fields"
    yield from console(browser)


def console(browser):
    for line in browser.get_log("browser"):
        yield f"console: {line['message']}"


def find_filter(browser, name):
    return browser.find_element("xpath", f"//form[@id='filters']//label[.='{name}']/input")


def pixels(png):
    """The bytes of an image, before its filters are undone: an empty one has few kinds."""
    at, packed = 8, b""
    while at < len(png):
        size, = struct.unpack(">I", png[at:at + 4])
        packed += png[at + 8:at + 8 + size] if png[at + 4:at + 8] == b"IDAT" else b""
        at += 12 + size
    return zlib.decompress(packed)


def look_at_pixels(browser):
    for figure in browser.find_elements("css selector", "figure:not([hidden]) .chart"):
        if len(set(pixels(figure.screenshot_as_png))) < 30:
            yield f"an empty picture: {figure.find_element('xpath', '..').text.splitlines()[0]}"


def look_at_print(browser):
    paper = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    pages = len(re.findall(rb"/Type /Page\b", paper))
    if pages < 3 or b"/FontFile" not in paper and len(paper) < 100000:
        yield f"on paper it is {pages} pages, {len(paper)} bytes"


def look_at_tasks(browser):
    """Of a sweep: charts of one task at a time, those over all tasks always."""
    yield from (f"not drawn: {problem}" for problem in browser.execute_async_script(DRAW))
    before = browser.execute_script(SHOWN)
    browser.execute_script("""const s = document.querySelector('#filters select[aria-label=task]');
        s.value = '1'; s.dispatchEvent(new Event('change'))""")
    after = browser.execute_script(SHOWN)
    if before[0] != [None, 0] or after[0] != [None, 1] or before[1] != after[1]:
        yield f"the task is not chosen: {before}, {after}"
    yield from console(browser)


def make(command, words, folder):
    subprocess.run([program, command, *words.split(), f"out={folder}"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    page = f"{folder}.html"
    subprocess.run([program, "report", folder, "-o", page], check=True, stdout=subprocess.DEVNULL)
    return page


def many_charts(page):
    """The same page with 50 curves of 4 methods at 500 steps in place of its own."""
    with open(page, encoding="utf-8") as file:
        text = file.read()
    begin = text.index('type="application/json">') + len('type="application/json">')
    end = text.index("</script>", begin)
    data = json.loads(text[begin:end])
    steps = list(range(1, 501))
    data["methods"] = [{"label": f"m{m}", "spec": "", "colour": "#0072B2"} for m in range(4)]
    data["runs"] = [{"m": m, "seed": 1} for m in range(4)]
    series = [{"r": m, "x": 0, "y": [1 / (m + k) for k in steps]} for m in range(4)]
    data["charts"] = [{"name": "loss", "section": "Curves", "task": None, "of": f"h{i}",
                       "title": f"curve {i}", "note": "", "kind": "line", "unit": "nats",
                       "log": True, "ref": None, "x": [steps], "series": series}
                      for i in range(50)]
    path = page.replace(".html", "-many.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[:begin] + json.dumps(data) + text[end:])
    return path


def seconds_to_draw(browser, page):
    path = many_charts(page)
    began = time.time()
    browser.get(f"file://{path}")
    problems = browser.execute_async_script(DRAW)
    drawn = browser.execute_script("return document.querySelectorAll('figure svg.marks').length")
    return time.time() - began, problems if drawn == 50 else [f"{drawn} of 50 charts", *problems]


def test(browser, folder):
    page = make("compare", RUN, f"{folder}/runs")
    browser.get(f"file://{page}")
    yield from look(browser)
    browser.get(f"file://{page}")
    browser.execute_async_script(DRAW)
    yield from look_at_pixels(browser)
    yield from look_at_print(browser)
    browser.get(f"file://{make('sweep', SWEEP, f'{folder}/sweep')}")
    yield from look_at_tasks(browser)
    yield from seconds_to_draw(browser, page)[1]


program = os.path.abspath(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    sample = make("compare", SWEEP.replace("optimizer=sgd:lr=0.1,sgd:lr=0.3", ""), f"{folder}/sample")
    with open(sample, encoding="utf-8") as page:
        if "vegaEmbed" not in page.read():
            print("skipped: this build has no charts (npm)")
            sys.exit(77)
    if not os.path.exists("/usr/bin/chromedriver"):
        print("skipped: no chromedriver")
        sys.exit(77)
    browser = open_browser(folder)
    try:
        if sys.argv[2:] == ["--time"]:
            print(f"{seconds_to_draw(browser, sample)[0]:.2f} s for 50 charts of 2,000 points")
            sys.exit(0)
        failures = list(test(browser, folder))
    finally:
        browser.quit()
print(*failures, sep="\n", end="\n" if failures else "")
sys.exit(len(failures) != 0)
