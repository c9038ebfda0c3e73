"""Executes docs/read-in-python.md, block by block, in an empty folder: read_in_python.py PAGE NORMLAB."""
import os
import re
import subprocess
import sys
import tempfile

try:
    import h5netcdf  # noqa: F401
    import h5py  # noqa: F401
    import pandas  # noqa: F401
    import xarray  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

page, normlab = (os.path.abspath(word) for word in sys.argv[1:])
blocks = re.findall(r"```(\w+)\n(.*?)```", open(page).read(), re.S)
assert [kind for kind, _ in blocks].count("python") >= 4, "the page has lost its blocks"
os.environ["PATH"] = os.path.dirname(normlab) + os.pathsep + os.environ["PATH"]
names = {}
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open("said", "w") as said:
        for kind, text in blocks:
            if kind == "sh":
                subprocess.run(["sh", "-eu", "-c", text], check=True, stdout=said, stderr=said)
            else:
                sys.stdout = said
                exec(compile(text, f"a block of {page}", "exec"), names)
                sys.stdout = sys.__stdout__
    os.chdir("/")
