"""format_h5py.py FORMAT.md FOLDER: runs the page's examples on FOLDER's files, then looks closer."""
import contextlib
import io
import os
import re
import sys

import h5py

with open(sys.argv[1], encoding="utf-8") as page:
    examples = re.findall(r"```python\n(.*?)```", page.read(), re.S)
os.chdir(sys.argv[2])
names = {}
for example in examples:
    file = re.search(r'File\("([^"]+)"\)', example).group(1)
    if os.path.exists(file):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(example, names)
        assert said.getvalue()

if os.path.exists("run.h5"):
    f = h5py.File("run.h5")
    assert f.attrs["outcome"] == "done" and f.attrs["spec"] == "model=mlp norm=batch"
    assert f["steps/loss"].dims[0][0].name == "/steps/step"
    assert f["steps/loss"].attrs["units"] == "nats"
    assert list(names["p"].dims[1][0][:]) == [1, 5, 15, 50, 85, 95, 99]
    assert names["median"][0] == 4 + 3
    gamma = f["norms/h1/preact/gamma"]
    assert gamma.dims[1][0].name == "/index_5" and gamma.dims[0][0].name == "/norms/step"
    assert gamma.attrs["timeline"] == "/layers/step"
    assert list(f["norms/step"][:]) == list(f["layers/step"][:]) == list(range(4, 57, 4))
    assert [t.decode() for t in f["timeline"][:]] == ["/steps/step", "/layers/step", "/epochs/epoch"]
    assert list(f["committed"][:]) == [57, 14, 5]
    assert f["committed"].dims[0][0].name == "/timeline"
    named = {path: [(f[at].name, dim) for at, dim in f[path].attrs["REFERENCE_LIST"]]
             for path in ("layers/step", "layers/percentile", "index_5", "timeline")}
    assert named == {"layers/step": [("/layers/h1/preact/pre/percentiles", 0)],
                     "layers/percentile": [("/layers/h1/preact/pre/percentiles", 1)],
                     "index_5": [("/norms/h1/preact/gamma", 1)], "timeline": [("/committed", 0)]}
    assert h5py.h5ds.is_attached(names["p"].id, f["layers/percentile"].id, 1)
    assert f["epochs/train_loss"].attrs["volatile"] == 1
    assert h5py.check_string_dtype(f["timeline"].dtype).length is None
