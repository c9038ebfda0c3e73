"""normlab export against the run file: tfevents.py NORMLAB. CSV, JSON and TensorBoard's event file, which
is parsed here by its definition (TFRecord, protocol buffers), have the numbers that h5py reads."""
import csv
import json
import math
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

normlab = sys.argv[1]
KEYS = ["data=circles:train=200:test=100", "model=mlp:hidden=8", "norm=batch", "batch=20", "steps=40", "log=histograms"]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283  # RFC 3720


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12]) == (masked(data[:8]),), "checksum of a length"
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked(event),), "checksum"
        yield event
        data = data[16 + length :]


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            size, kind = {1: (8, "<d"), 5: (4, "<f")}[key & 7]
            (value,) = struct.unpack(kind, data[at : at + size])
            at += size
        yield key >> 3, value


def doubles(data):
    return list(struct.unpack(f"<{len(data) // 8}d", data))


def values(path):
    """Scalars, and histograms as dictionaries of their fields."""
    found = {}
    events = list(records(path.read_bytes()))
    assert dict(fields(events[0]))[3] == b"brain.Event:2"
    for event in events[1:]:
        parts = dict(fields(event))
        for number, value in fields(parts[5]):
            assert number == 1
            tag = dict(fields(value))
            value = tag[2] if 2 in tag else dict(fields(tag[5]))
            found.setdefault(tag[1].decode(), []).append((parts[2], value, parts[1]))
    return found


def run(*words):
    done = subprocess.run([normlab, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def same(a, b):
    return math.isnan(b) if a in ("", None) else float(a) == b


with tempfile.TemporaryDirectory() as folder:
    run("train", *KEYS, f"out={folder}")
    home = next(Path(folder).iterdir())
    file = h5py.File(home / "run.h5")
    files = [Path(name) for to in ("csv", "json", "tensorboard") for name in run("export", str(home), f"--to={to}")]
    assert {f.name for f in files} >= {"steps.csv", "evals.csv", "layers.csv", "run.json"}, files

    rows = list(csv.DictReader(open(home / "steps.csv")))
    loss = file["steps/loss"][:]
    assert [float(r["loss"]) for r in rows] == list(loss) and [int(r["step"]) for r in rows] == list(range(1, 41))
    rows = list(csv.DictReader(open(home / "layers.csv")))
    percentiles = file["layers/h1/preact/pre/percentiles"]
    for k, label in enumerate(percentiles.dims[1][0][:]):
        column = f"h1/preact/pre/percentiles[{label:g}]"
        assert all(same(r[column], v) for r, v in zip(rows, percentiles[:, k])), column
    rows = list(csv.DictReader(open(home / "norms.csv")))
    gamma = file["norms/h1/preact/gamma"]
    assert all(same(r["h1/preact/gamma[2]"], v) for r, v in zip(rows, gamma[:, 2])), "gamma"

    whole = json.load(open(home / "run.json"))
    assert whole["attributes"]["outcome"] == "done" and whole["attributes"]["spec"] == file.attrs["spec"]
    assert all(same(r["test_accuracy"], v) for r, v in zip(whole["evals"], file["evals/test_accuracy"][:]))

    board = values(next(f for f in files if "tfevents" in f.name))
    assert [s for s, _, _ in board["steps/loss"]] == list(range(1, 41))
    assert np.array_equal(np.float32(loss), np.float32([v for _, v, _ in board["steps/loss"]]))
    times = [t for _, _, t in board["steps/loss"]]
    assert times == sorted(times) and abs(times[-1] - file.attrs["wall_seconds"]) < 1e-9
    assert len(board["layers/h1/preact/pre/percentiles[50]"]) == len(percentiles)
    counts, edge = file["histograms/h1/preact/pre/counts"][:], file["histograms/bin"][:]
    told = board["histograms/h1/preact/pre/counts"]
    assert [s for s, _, _ in told] == list(file["histograms/step"][:])
    for row, (_, h, _) in zip(counts, told):
        assert doubles(h[7]) == list(row) and doubles(h[6])[:-1] == list(edge[1:]) and h[3] == row.sum() == 20 * 8
    assert told[-1][1][1] < 0 < told[-1][1][2]
    rows = list(csv.DictReader(open(home / "histograms.csv")))
    assert [int(float(r["h1/preact/pre/counts[0.5]"])) for r in rows] == list(counts[:, list(edge).index(0.5)])
