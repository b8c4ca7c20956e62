"""Builds the compiled modules; everything else is in pyproject.toml.

`ext/switchgear/hotpath/_NAME.pyx` becomes `switchgear.hotpath._NAME`. `CYTHON_MODULES` is the one list of them;
tests/hotpath/test_modules.py holds it against the folder and against the stubs.

`SWITCHGEAR_SANITIZE=1` builds with AddressSanitizer and UndefinedBehaviorSanitizer, `-O1 -g`, for the fuzzers.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CYTHON_MODULES = [
    "_client",
    "_estimate",
    "_head",
    "_http1",
    "_journal",
    "_leases",
    "_metrics",
    "_peek",
    "_price",
    "_ratelimit",
    "_score",
    "_sse",
    "_translate",
    "_unary",
]

SANITIZE = os.environ.get("SWITCHGEAR_SANITIZE", "") not in ("", "0")
COMPILE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"] if SANITIZE else ["-O3", "-g0"]
LINK = ["-fsanitize=address,undefined"] if SANITIZE else []
SOURCES = Path("ext/switchgear/hotpath")

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"switchgear.hotpath.{name}",
                [str(SOURCES / f"{name}.pyx")],
                include_dirs=[str(SOURCES)],
                depends=[str(header) for header in SOURCES.glob("*.h")],
                extra_compile_args=[*COMPILE, "-Wno-unreachable-code"],
                extra_link_args=LINK,
            )
            for name in CYTHON_MODULES
            if (SOURCES / f"{name}.pyx").exists()
        ],
        include_path=["ext"],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": SANITIZE,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": True,
        },
    )
)
