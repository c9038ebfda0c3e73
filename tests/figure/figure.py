#!/usr/bin/python3
"""Every kind of figure that a few runs have, one of each shape as PDF and PNG too: the file is of the size asked for,
letters are embedded in PDF and stay text in SVG, each method is named and something is drawn.
Silence means pass; 77: not run.

    figure.py PATH/OF/normlab
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zlib

RUN = ("data=circles:train=200:val=50:test=100 model=mlp:hidden=8x2:act=tanh steps=60 batch=20 "
       "norm=none,batch seeds=4 probe=unit:every=20 log=histograms,gradients,cosine,population")
ROWS = ("data=reber:train=200:test=50 model=lstm:hidden=8 steps=20 batch=20 norm=none,layer seeds=2")
RATES = ("data=circles:train=200:test=100 model=mlp:hidden=8 steps=20 batch=20 norm=none,batch "
         "optimizer=sgd:lr=0.1,sgd:lr=0.3 seeds=2")
KINDS = {
    "runs": ["differences", "scores", "loss", "test-accuracy", "validation-accuracy", "test-loss",
             "validation-loss", "percentiles", "percentiles-before", "std", "gamma", "beta",
             "ridgelines", "skewness", "kurtosis", "gradients", "running-kl", "gradient-cosine",
             "gradient-norm-of-all", "gradient-norm", "weight-norm", "probe"],
    "rows": ["gradient-steps"],
    "rates": ["sensitivity"],
}


EVERY_ENDING = {"differences", "loss", "percentiles", "ridgelines", "gradient-steps", "sensitivity"}


def look_at_pdf(data):
    if not data.startswith(b"%PDF-"):
        yield "is no PDF"
    if b"/FontFile" not in data:
        yield "has no letters in it"
    box = re.search(rb"/MediaBox \[ 0 0 (\d+) (\d+) \]", data)
    if not box or abs(int(box[1]) - 3.3 * 72) > 1:
        yield f"is not 3.3 in wide: {box and box[0]}"


def look_at_svg(data):
    root = ElementTree.fromstring(data)
    if root.get("width") != "238pt" or root.get("viewBox").split()[2] != "238":
        yield f"is not 3.3 in wide: {root.get('width')}"
    words = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
    if "batch" not in words and "layer" not in words:
        yield f"does not name its methods: {words}"
    if re.search(r"""[\s,"']-?nan[\s,"']""", data.decode().lower()):
        yield "has places that are no numbers"


def look_at_png(data):
    width, = struct.unpack(">I", data[16:20])
    if abs(width - 330) > 1:
        yield f"is {width} pixels wide, not 330"
    bytes_of = b"".join(data[at + 8:at + 8 + struct.unpack(">I", data[at:at + 4])[0]]
                        for at in chunks(data) if data[at + 4:at + 8] == b"IDAT")
    if len(set(zlib.decompress(bytes_of))) < 20:
        yield "is empty"


def chunks(data):
    at = 8
    while at < len(data):
        yield at
        at += 12 + struct.unpack(">I", data[at:at + 4])[0]


LOOK = {"pdf": look_at_pdf, "svg": look_at_svg, "png": look_at_png}


def draw(folder, runs, kind, ending, words=()):
    path = f"{folder}/{kind}.{ending}"
    words = [program, "figure", kind, f"{folder}/{runs}", "--dpi=100", "-o", path, *words]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    if said.returncode or said.stderr:
        return None, f"status {said.returncode}: {said.stderr.strip()}"
    with open(path, "rb") as file:
        return file.read(), said.stdout


def failures(folder):
    for name, words in (("runs", RUN), ("rows", ROWS)):
        subprocess.run([program, "compare", *words.split(), f"out={folder}/{name}", "--no-report"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([program, "sweep", *RATES.split(), f"out={folder}/rates"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for runs, kinds in KINDS.items():
        for kind in kinds:
            endings = LOOK if kind in EVERY_ENDING else ["svg"]
            for ending in endings:
                data, said = draw(folder, runs, kind, ending)
                for problem in LOOK[ending](data) if data else [said]:
                    yield f"{kind}.{ending}: {problem}"
    data, said = draw(folder, "runs", "loss", "pdf", ["--width=double", "--height=2in"])
    if b"/MediaBox [ 0 0 489 144 ]" not in data:
        yield f"loss.pdf: is not 6.8 x 2 in: {said}"
    os.environ["PATH"] = "/nowhere"
    data, said = draw(folder, "runs", "loss", "pdf")
    if data or "gnuplot" not in said:
        yield f"without gnuplot: {said}"


program = os.path.abspath(sys.argv[1])
if not shutil.which("gnuplot"):
    print("skipped: no gnuplot")
    sys.exit(77)
with tempfile.TemporaryDirectory() as folder:
    found = list(failures(folder))
print(*found, sep="\n", end="\n" if found else "")
sys.exit(len(found) != 0)
