"""Write THIRD-PARTY.md: the software of others in the images, and its licences.

    .venv/bin/python deploy/release/notices.py

Installs what the images install into a temporary folder, and reads what the packages say of
themselves. Run it after a change of a requirements.txt; tests/unit/test_notices.py says so.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
NOTICES = ROOT / "THIRD-PARTY.md"
REQUIREMENTS = {
    "service": ROOT / "requirements.txt",
    "certificates": ROOT / "deploy" / "acme" / "requirements.txt",
}
"""What is installed into each image."""

_GNU = "LGPL-3.0-or-later OR GPL-2.0-or-later"
_FFMPEG = "LGPL-3.0-or-later"  # configured with --enable-version3

LIBRARIES = {
    "SvtAv1Enc": "BSD-3-Clause-Clear",
    "Xau": "MIT",
    "asound": "LGPL-2.1-or-later",
    "avcodec": _FFMPEG,
    "avdevice": _FFMPEG,
    "avfilter": _FFMPEG,
    "avformat": _FFMPEG,
    "avif": "BSD-2-Clause",
    "avutil": _FFMPEG,
    "brotlicommon": "MIT",
    "brotlidec": "MIT",
    "dav1d": "BSD-2-Clause",
    "drm": "MIT",
    "freetype": "FTL OR GPL-2.0-or-later",
    "gmp": _GNU,
    "gnutls": "LGPL-2.1-or-later",
    "harfbuzz": "MIT",
    "hogweed": _GNU,
    "jpeg": "IJG AND BSD-3-Clause",
    "lcms2": "MIT",
    "lzma": "0BSD",
    "nettle": _GNU,
    "openjp2": "BSD-2-Clause",
    "opus": "BSD-3-Clause",
    "png16": "libpng-2.0",
    "sharpyuv": "BSD-3-Clause",
    "swresample": _FFMPEG,
    "swscale": _FFMPEG,
    "tiff": "libtiff",
    "unistring": _GNU,
    "vmaf": "BSD-2-Clause-Patent",
    "vpl": "MIT",
    "vpx": "BSD-3-Clause",
    "webp": "BSD-3-Clause",
    "webpdemux": "BSD-3-Clause",
    "webpmux": "BSD-3-Clause",
    "x264": "GPL-2.0-or-later",
    "x265": "GPL-2.0-or-later",
    "xcb": "MIT",
    "xcb-shape": "MIT",
    "xcb-shm": "MIT",
    "xcb-xfixes": "MIT",
    "zstd": "BSD-3-Clause OR GPL-2.0-only",
}
"""The licences of shared libraries in wheels, by their own projects. A wheel does not say them."""

COMPILED = (
    ("av", "mp3lame", "LGPL-2.0-or-later"),
    ("cffi", "libffi", "MIT"),
    ("cryptography", "OpenSSL", "Apache-2.0"),
    ("pillow", "FriBiDi shim", "MIT-CMU"),
    ("pillow", "Raqm", "MIT"),
    ("pillow", "zlib-ng", "Zlib"),
    ("uvloop", "libuv", "MIT"),
)
"""C libraries that are compiled into a package: package, library, licence."""

HEAD = """# Third-party software

Reelay's own licence is in [LICENSE](LICENSE). This page lists what else is in the images, with
its licences. It is written by `deploy/release/notices.py`. Tests compare it with the requirements
and with the images.

## Python packages

The licence is in each package's own words. Its text is in the image, in `*.dist-info` below `/opt`,
if the package brings it.

| package | version | licence | image |
|---|---|---|---|
"""

SHARED = """
## Libraries in Python packages

FFmpeg is inside PyAV (`av`). Its libraries are linked with libx264 and libx265, whose licence is
the GPL. Reelay encodes no video with them, but who passes an image on passes them on, too, and
has to offer their source: <https://github.com/PyAV-Org/pyav-ffmpeg> builds them and names the
sources.

| package | libraries | licence |
|---|---|---|
"""

RUST = """
Packages written in Rust contain these crates, as their own lists in `*.dist-info/sboms` say:

| package | licence | crates |
|---|---|---|
"""

TAIL = """
## JavaScript

The pages and the edge use only Reelay's own scripts. The npm packages in
`tests/e2e/browser/package-lock.json` are for tests, and are in no image.

## nginx, Python, Prometheus and Debian

The edge's image is made from nginx's own, with nginx, its module njs and, if nginx has no `stream`
built in, Debian's `libnginx-mod-stream` (all BSD-2-Clause). The image `monitoring` is made from
Prometheus' own (Apache-2.0), or has Debian's package of it. The other images are made from Python's
(PSF-2.0). All but Prometheus' have packages of Debian. Each package's licence is in the image, in
`/usr/share/doc/<package>/copyright`:

```sh
docker run --rm --entrypoint dpkg-query IMAGE --show
docker run --rm --entrypoint sh IMAGE -c 'cat /usr/share/doc/*/copyright'
```
"""


def licence(distribution: Distribution) -> str:
    """Return the licence that a package states: an SPDX expression, or else its own words."""
    metadata = distribution.metadata
    for field in ("License-Expression", "License"):
        line = str(metadata[field] or "").strip().partition("\n")[0]
        if line:
            return line
    classifiers = [str(line) for line in metadata.get_all("Classifier") or []]
    stated = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    if not stated:
        raise SystemExit(f"{name(distribution)} states no licence")
    return " / ".join(stated)


def name(distribution: Distribution) -> str:
    """Return a package's normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()


def libraries(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the package and the name of each shared library beside it, without its version."""
    for file in sorted(folder.glob("*.libs/*")):
        yield (
            file.parent.name.removesuffix(".libs"),
            re.sub(r"^lib|-[0-9a-f]{8}\.so.*$", "", file.name),
        )


def crates(distribution: Distribution) -> Iterator[tuple[str, str]]:
    """Yield the licence and the name of each crate that a package lists as CycloneDX."""
    for file in distribution.files or []:
        if file.parent.name == "sboms" and file.name.endswith(".cyclonedx.json"):
            for component in json.loads(file.read_text(encoding="utf-8"))["components"]:
                for stated in component["licenses"]:
                    yield stated["expression"], f"{component['name']} {component['version']}"


def install(requirements: Path, folder: Path) -> None:
    """Install what an image for x86-64 installs, whatever runs this."""
    python = re.findall(r"python:([0-9.]+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))[0]
    about = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    lines = []
    for line in requirements.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        pin, _, hashes = line.partition(" --hash")
        marker = Requirement(pin).marker
        if marker is None or marker.evaluate(about):
            lines.append(f"{pin.partition(';')[0]} --hash{hashes}\n")
    pins = folder / "requirements.txt"
    pins.write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    options = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    for glibc in (34, 28, 24, 17, 12, 5):
        options += ["--platform", f"manylinux_2_{glibc}_x86_64"]
    options += [
        "--ignore-requires-python",
        "--platform",
        "manylinux2014_x86_64",
        "--platform",
        "manylinux1_x86_64",
    ]
    options += ["--target", str(folder), "--requirement", str(pins)]
    subprocess.run([*command, *options], check=True)  # noqa: S603 # pip, with our own files


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows of Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def grouped(rows: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], list[str]]:
    """Return the last cells of rows by the first two."""
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for first, second, last in rows:
        groups[first, second].add(last)
    return {key: sorted(last, key=str.lower) for key, last in sorted(groups.items())}


def main() -> None:
    """Write the page."""
    packages: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    shared, rust = list(COMPILED), []
    for image, requirements in REQUIREMENTS.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            install(requirements, folder)
            for found in distributions(path=[temporary]):
                packages[name(found), found.version, licence(found)].append(image)
                rust += [(name(found), terms, crate) for terms, crate in crates(found)]
            shared += [(package, each, LIBRARIES[each]) for package, each in libraries(folder)]
    text = HEAD + table((*key, ", ".join(images)) for key, images in sorted(packages.items()))
    by_licence = grouped((package, terms, each) for package, each, terms in shared).items()
    text += SHARED + table(
        (package, ", ".join(each), terms) for (package, terms), each in by_licence
    )
    text += RUST + table((*key, ", ".join(each)) for key, each in grouped(rust).items())
    NOTICES.write_text(text + TAIL, encoding="utf-8")


if __name__ == "__main__":
    main()
